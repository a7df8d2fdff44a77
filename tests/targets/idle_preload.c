/* Loaded where the oracle of counts is not: the loader allocates for every library,
 * so both runs load one. */
extern int idle_preload_is_loaded;
int idle_preload_is_loaded = 1;
