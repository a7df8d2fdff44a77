# Installing, dependencies and the demo.
.PHONY: install deps demo
