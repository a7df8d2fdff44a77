/* The style sheet and the script of the page within memtrace-fs (html_parts.h): files of web/. */
	.section .rodata.html_web, "a"
	.globl	html_css, html_css_len, html_js, html_js_len
html_css:
	.incbin	"web/page.css"
1:
html_js:
	.incbin	"web/page.js"
2:
	.balign	4
html_css_len:
	.long	1b - html_css
html_js_len:
	.long	2b - html_js

	.section .note.GNU-stack, "", %progbits
