/* The style sheet and the script of the page within memtrace-fs (html_parts.h): what web/ made. */
	.section .rodata.html_web, "a"
	.globl	html_css, html_css_len, html_js, html_js_len, html_css_hash, html_js_hash
html_css:
	.incbin	"web/dist/page.css"
1:
html_js:
	.incbin	"web/dist/page.js"
2:
html_css_hash:
	.incbin	"web/dist/page.css.sha256"
	.byte	0
html_js_hash:
	.incbin	"web/dist/page.js.sha256"
	.byte	0
	.balign	4
html_css_len:
	.long	1b - html_css
html_js_len:
	.long	2b - html_js

	.section .note.GNU-stack, "", %progbits
