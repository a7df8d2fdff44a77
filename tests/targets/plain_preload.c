/* Loaded where the oracle of counts is not: the loader allocates for every library,
 * so both runs load one. */
extern int plain_preload_is_loaded;
int plain_preload_is_loaded = 1;
