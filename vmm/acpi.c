/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables of a machine without firmware. Numbers cite [ACPI] 6.5; all
 * tables are built in a buffer and written to the guest at once.
 */
#include "vmm/acpi.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/bytes.h"
#include "core/util.h"
#include "devices/acpi_regs.h"
#include "devices/pci.h"
#include "vmm/acpi_dsdt.h"

/* APIC id 255 is the broadcast address; x2APIC entries are not needed. */
#define ACPI_VCPUS_MAX	254
#define ACPI_TABLES_MAX 4
#define ACPI_ALIGN	16

#define RSDP_SIZE    36
#define RSDP_V1_SIZE 20 /* what the first checksum covers */
#define HEADER_SIZE  36 /* 5.2.6 */
#define FADT_SIZE    276
#define MADT_SIZE    44
#define MADT_LAPIC   8
#define MADT_IOAPIC  12
#define MADT_NMI     6
#define MCFG_SIZE    44
#define MCFG_ENTRY   16

#define LAPIC_ADDRESS  0xfee00000u
#define IOAPIC_ADDRESS 0xfec00000u

static_assert(sizeof(dsdt_aml_code) > HEADER_SIZE, "no DSDT");

/**
 * struct acpi_image - Tables as they grow
 * @base:	Guest address of @buf
 * @full:	Something did not fit; sticky
 * @table:	Guest addresses for the XSDT
 */
struct acpi_image {
	uint8_t *buf;
	gpa_t base;
	uint64_t size, used;
	bool full;
	gpa_t table[ACPI_TABLES_MAX];
	unsigned n_tables;
};

static uint8_t acpi_checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

/* Room for @len bytes, zeroed, or NULL. */
static uint8_t *image_take(struct acpi_image *im, uint64_t len)
{
	uint64_t at = align_up(im->used, ACPI_ALIGN);

	if (im->full || !range_inside(at, len, 0, im->size)) {
		im->full = true;
		return NULL;
	}
	im->used = at + len;
	return im->buf + at;
}

static gpa_t image_gpa(const struct acpi_image *im, const uint8_t *p)
{
	return im->base + (uint64_t)(p - im->buf);
}

/* The header that all tables but RSDP begin with (5.2.6). */
static uint8_t *table_begin(struct acpi_image *im, const char *signature,
			    uint8_t revision, uint64_t len)
{
	uint8_t *t = image_take(im, len);

	if (!t)
		return NULL;
	memcpy(t, signature, 4);
	put_le32(t + 4, (uint32_t)len);
	t[8] = revision;
	memcpy(t + 10, "CSVVMM", 6);
	memcpy(t + 16, "CSVVMM  ", 8);
	put_le32(t + 24, 1);
	memcpy(t + 28, "CSVM", 4);
	put_le32(t + 32, 1);
	return t;
}

static void table_end(uint8_t *t)
{
	t[9] = acpi_checksum(t, get_le32(t + 4));
}

/* A finished table that the XSDT shall list. */
static void table_list(struct acpi_image *im, uint8_t *t)
{
	table_end(t);
	im->table[im->n_tables++] = image_gpa(im, t);
}

/* Generic Address Structure of a byte-wide port (5.2.3.2). */
static void put_gas_port(uint8_t *p, uint16_t port)
{
	p[0] = 1; /* system I/O space */
	p[1] = 8; /* bits */
	p[2] = 0;
	p[3] = 1; /* byte access */
	put_le64(p + 4, port);
}

/* 5.2.9, flags in table 5.10, boot flags in table 5.11 */
#define FADT_WBINVD	     BIT(0)
#define FADT_PWR_BUTTON	     BIT(4) /* no fixed-feature power button */
#define FADT_SLP_BUTTON	     BIT(5) /* nor a sleep button */
#define FADT_RESET_REG_SUP   BIT(10)
#define FADT_HW_REDUCED_ACPI BIT(20)
#define FADT_VGA_NOT_PRESENT BIT(2)
#define FADT_NO_ASPM	     BIT(4)
#define FADT_RTC_NOT_PRESENT BIT(5)

static void add_fadt(struct acpi_image *im, gpa_t dsdt)
{
	uint8_t *t = table_begin(im, "FACP", 6, FADT_SIZE);

	if (!t)
		return;
	/* No 8042, no VGA, no CMOS clock: nobody shall probe for them. */
	put_le16(t + 109,
		 FADT_VGA_NOT_PRESENT | FADT_NO_ASPM | FADT_RTC_NOT_PRESENT);
	put_le32(t + 112, FADT_WBINVD | FADT_PWR_BUTTON | FADT_SLP_BUTTON |
				  FADT_RESET_REG_SUP | FADT_HW_REDUCED_ACPI);
	put_gas_port(t + 116, ACPI_PORT_RESET);
	t[128] = ACPI_RESET_VALUE;
	t[131] = 5; /* minor version */
	put_le64(t + 140, dsdt);
	put_gas_port(t + 244, ACPI_PORT_SLEEP);
	put_gas_port(t + 256, ACPI_PORT_STATUS);
	table_list(im, t);
}

/* 5.2.12: local APICs, one I/O APIC, NMI on LINT1. No 8259 to speak of. */
static void add_madt(struct acpi_image *im, unsigned n_vcpus)
{
	uint64_t len = MADT_SIZE + (uint64_t)n_vcpus * MADT_LAPIC +
		       MADT_IOAPIC + MADT_NMI;
	uint8_t *t = table_begin(im, "APIC", 5, len);
	uint8_t *e;
	unsigned i;

	if (!t)
		return;
	put_le32(t + 36, LAPIC_ADDRESS);
	e = t + MADT_SIZE;
	for (i = 0; i < n_vcpus; i++, e += MADT_LAPIC) {
		e[0] = 0;
		e[1] = MADT_LAPIC;
		e[2] = (uint8_t)i;  /* processor UID */
		e[3] = (uint8_t)i;  /* APIC id */
		put_le32(e + 4, 1); /* enabled */
	}
	e[0] = 1;
	e[1] = MADT_IOAPIC;
	put_le32(e + 4, IOAPIC_ADDRESS);
	e += MADT_IOAPIC;
	e[0] = 4;
	e[1] = MADT_NMI;
	e[2] = 0xff; /* all processors */
	e[5] = 1;    /* LINT1 */
	table_list(im, t);
}

/* [PCIFW] 4.1.2 */
static void add_mcfg(struct acpi_image *im)
{
	uint8_t *t = table_begin(im, "MCFG", 1, MCFG_SIZE + MCFG_ENTRY);

	if (!t)
		return;
	put_le64(t + 44, PCI_ECAM_BASE);
	t[54] = 0; /* first bus */
	t[55] = (uint8_t)((PCI_ECAM_SIZE >> 20) - 1);
	table_list(im, t);
}

static void fill_xsdt(struct acpi_image *im, uint8_t *t)
{
	unsigned i;

	for (i = 0; i < im->n_tables; i++)
		put_le64(t + HEADER_SIZE + i * 8, im->table[i]);
	put_le32(t + 4, HEADER_SIZE + im->n_tables * 8);
	table_end(t);
}

/* 5.2.5.3 */
static void fill_rsdp(uint8_t *p, gpa_t xsdt)
{
	memcpy(p, "RSD PTR ", 8);
	memcpy(p + 9, "CSVVMM", 6);
	p[15] = 2;
	put_le32(p + 20, RSDP_SIZE);
	put_le64(p + 24, xsdt);
	p[8] = acpi_checksum(p, RSDP_V1_SIZE);
	p[32] = acpi_checksum(p, RSDP_SIZE);
}

static int image_build(struct acpi_image *im, unsigned n_vcpus)
{
	uint8_t *rsdp = image_take(im, RSDP_SIZE);
	uint8_t *xsdt =
		table_begin(im, "XSDT", 1, HEADER_SIZE + ACPI_TABLES_MAX * 8);
	uint8_t *dsdt = image_take(im, sizeof(dsdt_aml_code));

	if (!dsdt)
		return -ENOSPC;
	memcpy(dsdt, dsdt_aml_code, sizeof(dsdt_aml_code));
	add_fadt(im, image_gpa(im, dsdt));
	add_madt(im, n_vcpus);
	add_mcfg(im);
	if (im->full)
		return -ENOSPC;
	fill_xsdt(im, xsdt);
	fill_rsdp(rsdp, image_gpa(im, xsdt));
	return 0;
}

int acpi_build(struct gmem *gm, gpa_t at, uint64_t size, unsigned n_vcpus)
{
	struct acpi_image im = { .base = at, .size = size };
	auto_free uint8_t *buf = NULL;
	int r;

	if (!n_vcpus || n_vcpus > ACPI_VCPUS_MAX)
		return -EINVAL;
	if (!gmem_valid(gm, at, size))
		return -EFAULT;
	buf = calloc(1, size);
	if (!buf)
		return -ENOMEM;
	im.buf = buf;
	r = image_build(&im, n_vcpus);
	return r < 0 ? r : gmem_write(gm, at, buf, im.used);
}
