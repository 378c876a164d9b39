/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/line.h"

#include <errno.h>
#include <string.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/sandbox.h"

bool line_take(struct line_opts *o, int c, const char *arg)
{
	switch (c) {
	case LINE_PSK:
		o->psk = arg;
		return true;
	case LINE_TLS:
		o->tls = arg;
		return true;
	case LINE_PEER:
		o->peer = arg;
		return true;
	case LINE_INSECURE:
		o->insecure = true;
		return true;
	default:
		return false;
	}
}

const char *line_where(struct line_opts *o, const char *where)
{
	int given = !!o->psk + !!o->tls + o->insecure;

	if (!given)
		return "say how the line is protected: --psk FILE, --tls DIR, "
		       "or --insecure (not at all)";
	if (given > 1)
		return "only one of --psk, --tls and --insecure";
	if (o->peer && !o->tls)
		return "--peer goes with --tls only";
	if ((o->psk && !*o->psk) || (o->tls && !*o->tls) ||
	    (o->peer && !*o->peer))
		return "--psk, --tls and --peer take a name, not nothing";
	if (tunnel_address(where, o->host, sizeof(o->host), o->port,
			   sizeof(o->port)) < 0)
		return "not HOST:PORT or [ADDRESS]:PORT";
	return NULL;
}

const char *line_protection(const struct line_opts *o)
{
	return o->psk ? "psk" : o->tls ? "tls" : "insecure";
}

static struct tunnel_conf line_conf(const struct line_opts *o,
				    enum tunnel_role role)
{
	return (struct tunnel_conf){
		.role = role,
		.security = o->psk   ? TUNNEL_PSK
			    : o->tls ? TUNNEL_CERTIFICATES
				     : TUNNEL_INSECURE,
		.host = o->host,
		.port = o->port,
		.psk_file = o->psk,
		.tls_dir = o->tls,
		.peer_name = o->peer,
		.confine = sandbox_helper,
	};
}

int line_connect(const struct line_opts *o, const char *what, struct tunnel *ret_t)
{
	struct tunnel_conf conf = line_conf(o, TUNNEL_CONNECT);
	struct tunnel_error err;
	int r;

	conf.outlive = true;
	r = tunnel_open(&conf, ret_t, &err);
	if (r < 0)
		log_err("%s: %s", what, err.text);
	return r;
}

int line_listen(const struct line_opts *o, uint16_t *ret_port)
{
	struct tunnel_conf conf = line_conf(o, TUNNEL_LISTEN);
	struct tunnel_error err;
	int fd = tunnel_listen(&conf, ret_port, &err);

	if (fd < 0)
		log_err("receive: %s", err.text);
	return fd;
}

int line_open(const struct line_opts *o, int listen_fd, struct tunnel *ret_t)
{
	struct tunnel_conf conf = line_conf(o, TUNNEL_LISTEN);
	struct tunnel_error err;
	int r;

	conf.listen_fd = listen_fd;
	r = tunnel_open(&conf, ret_t, &err);
	if (r < 0)
		log_err("receive: %s", err.text);
	return r;
}

int line_wait(const struct line_opts *o, struct tunnel *t)
{
	struct tunnel_error err;
	int r = tunnel_wait(t, &err);

	if (r < 0) {
		log_err("receive: %s", err.text);
		(void)tunnel_close(t);
	} else {
		log_info("%s is let in (%s)", err.text, line_protection(o));
	}
	return r;
}
