/* The blob within memtrace (blob.h): the file that the Makefile has made, or nothing. */
	.section .rodata
	.globl	blob_bytes, blob_len
	.balign	16
blob_bytes:
#ifdef BLOB
	.incbin	BLOB
#endif
1:	.balign	4
blob_len:
	.long	1b - blob_bytes

	.section .note.GNU-stack, "", %progbits
