/* The blob within memtrace (blob.h): the file that the Makefile has made, or nothing. */
	.section .rodata
	.globl	blob_bytes, blob_len, blob_frames, blob_frames_len
	.balign	16
blob_bytes:
#ifdef BLOB
	.incbin	BLOB
#endif
1:	.balign	4
blob_len:
	.long	1b - blob_bytes

	.balign	8
blob_frames:
#ifdef BLOB
	.incbin	BLOB_FRAMES
#endif
1:	.balign	4
blob_frames_len:
	.long	1b - blob_frames

	.section .note.GNU-stack, "", %progbits
