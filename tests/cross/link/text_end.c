/* The end of a static program's code, on a page of its own: whatever else is linked, there is
 * room behind it for stubs, if code has a segment of its own. */
__attribute__((used, section(".text_end"), aligned(4096))) void text_end(void)
{
}
