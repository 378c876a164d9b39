/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What no other table says: the PCI host bridge, the serial port, pvpanic, the
 * power button and how to switch off. The addresses are those of
 * devices/pci.h and devices/acpi_regs.h; tests/unit/acpi_test.c compares.
 */
DefinitionBlock ("", "DSDT", 2, "CSVVMM", "CSVVMM", 0x00000001)
{
	/* SLP_TYP of the sleep control register ([ACPI] 4.8.3.7, 7.4.2.6). */
	Name (\_S5, Package () { 5, 0, 0, 0 })

	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A08"))
			Name (_CID, EisaId ("PNP0A03"))
			Name (_SEG, 0)
			Name (_BBN, 0)
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed,
					MaxFixed, PosDecode,
					0x0000, 0x0000, 0x0000, 0x0000, 0x0001)
				IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
				DWordMemory (ResourceProducer, PosDecode,
					MinFixed, MaxFixed, NonCacheable,
					ReadWrite,
					0x00000000, 0xD0000000, 0xDFFFFFFF,
					0x00000000, 0x10000000)
			})

			/*
			 * [PCIFW] 4.5.1. There are no ports and no slots, so
			 * hot-plug stays here; PME, AER and the capability
			 * structure may be the guest's.
			 */
			Method (_OSC, 4, Serialized)
			{
				CreateDWordField (Arg3, 0, CDW1)
				If (LEqual (Arg0, ToUUID ("33db4d5b-1ff7-401c-9657-7441c03dd766")))
				{
					CreateDWordField (Arg3, 8, CDW3)
					Store (And (CDW3, 0x1C), Local0)
					If (LNotEqual (Arg1, One))
					{
						/* Unknown revision */
						Or (CDW1, 0x08, CDW1)
					}
					If (LNotEqual (CDW3, Local0))
					{
						/* Some bits were taken away */
						Or (CDW1, 0x10, CDW1)
					}
					Store (Local0, CDW3)
					Return (Arg3)
				}
				/* Unknown UUID */
				Or (CDW1, 0x04, CDW1)
				Return (Arg3)
			}
		}

		/* The ECAM window must be somebody's ([PCIFW] 4.1.2). */
		Device (ECAM)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xE8000000, 0x00100000)
			})
		}

		/* The register block of devices/acpi_regs.c. */
		Device (REGS)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 2)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0600, 0x0600, 0x01, 0x04)
			})
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03F8, 0x03F8, 0x01, 0x08)
				Interrupt (ResourceConsumer, Edge, ActiveHigh,
					Exclusive) { 4 }
			})
		}

		Device (PEVT)
		{
			Name (_HID, "QEMU0001")
			Name (_UID, 1)
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0505, 0x0505, 0x01, 0x01)
			})
		}

		Device (PWRB)
		{
			Name (_HID, EisaId ("PNP0C0C"))
			Name (_UID, 1)
		}

		/* Generic Event Device ([ACPI] 5.6.9) */
		Device (GED)
		{
			Name (_HID, "ACPI0013")
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Edge, ActiveHigh,
					Exclusive) { 5 }
			})
			OperationRegion (EREG, SystemIO, 0x0603, 0x01)
			Field (EREG, ByteAcc, NoLock, Preserve)
			{
				EVNT, 8
			}
			Method (_EVT, 1, Serialized)
			{
				/* Reading clears. */
				Store (EVNT, Local0)
				If (And (Local0, 0x01))
				{
					Notify (PWRB, 0x80)
				}
			}
		}
	}
}
