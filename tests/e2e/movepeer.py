#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The other end of the connection that a guest of tests/e2e/guest/moves holds.

movepeer.py ADDRESS PORT LOG ORDERS
    accepts one connection, once LOG begins with 0. Each line is a number and a sum; both must be the next ones, by our
    own reckoning. It is written to LOG, and answered with what the file ORDERS says (which is removed), or with "go".
    Ends with 0 after the order "end", with 1 when the connection breaks or a line is wrong.
"""
import hashlib
import os
import socket
import sys


def main(address, port, log_name, orders):
    log = open(log_name, "w", buffering=1)
    with socket.create_server((address, int(port))) as server:
        print(0, file=log)
        connection, _ = server.accept()
    number, text = 0, "start"
    with connection, connection.makefile("rw") as lines:
        for line in lines:
            number += 1
            text = hashlib.sha256(f"{text} {number}\n".encode()).hexdigest()
            if line != f"{number} {text}\n":
                print(f"WRONG {line!r}, expected {number} {text}", file=log)
                return 1
            print(number, file=log)
            order = "go"
            if os.path.exists(orders):
                with open(orders) as f:
                    order = f.read().strip()
                os.remove(orders)
            lines.write(order + "\n")
            lines.flush()
            if order == "end":
                print("END", file=log)
                return 0
    print("BROKEN", file=log)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
