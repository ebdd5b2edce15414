/* Memory that outlives requests: it is there, or the process ends with a message. Outside an arena
 * nothing could go on half-made (base I5). */
#ifndef HW_BASE_MEM_H
#define HW_BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);
/* Zeroed; count * size is checked. */
void *mem_zalloc(size_t count, size_t size);
/* Begins at a page, as writes past the page cache want it. */
void *mem_alloc_pages(size_t size);
void *mem_realloc(void *block, size_t size);
/* NULL where there is none: for those who then fail a request. */
void *mem_try(size_t size);
void mem_free(void *block);

#endif
