/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_VERSION_H
#define CSVVMM_CORE_VERSION_H

#define CSVVMM_VERSION "0.1.0-dev"

#endif
