/* In place of libFuzzer where a preset has none: gives each file of the directories it is called
 * with to the target, once. The sanitizers of the preset watch. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX (1u << 20)

/* In memory that ends where the input does. */
static void try_file(const char *path)
{
    static uint8_t room[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    HOLDS(file != NULL);
    size_t len = fread(room, 1, sizeof(room), file);
    HOLDS(len < sizeof(room) && ferror(file) == 0);
    HOLDS(fclose(file) == 0);
    uint8_t *input = malloc(len + 1);
    HOLDS(input != NULL);
    memcpy(input + 1, room, len);
    fprintf(stderr, "%s\n", path); /* the last one is the one that failed */
    LLVMFuzzerTestOneInput(input + 1, len);
    free(input);
}

static size_t try_directory(const char *path)
{
    size_t count = 0;
    struct dirent *entry;
    DIR *directory = opendir(path);
    HOLDS(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        char name[4096];
        int len = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && len > 0 && (size_t)len < sizeof(name)) {
            try_file(name);
            count++;
        }
    }
    HOLDS(closedir(directory) == 0);
    return count;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        count += try_directory(argv[i]);
    }
    HOLDS(count > 0);
    printf("%zu inputs\n", count);
    return 0;
}
