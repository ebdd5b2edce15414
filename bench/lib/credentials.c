/* Words between blanks and equals signs: a profile's other settings pass by. */
#include "lib/credentials.h"

#include <stdio.h>

#define FILE_BYTES_MAX 65536u

enum err credentials_read(const char *path, struct buf *keep, const char **key_id,
                          const char **secret)
{
    const char *found_id = NULL;
    const char *found_secret = NULL;
    FILE *file = fopen(path, "r");
    uint8_t *text = buf_room(keep, FILE_BYTES_MAX);
    size_t len = file == NULL || text == NULL ? 0 : fread(text, 1, FILE_BYTES_MAX - 1, file);
    if (file != NULL) {
        (void)fclose(file);
    }
    if (len > 0) {
        text[len] = 0;
        char *place = NULL;
        for (char *word = strtok_r((char *)text, " \t\r\n=", &place); word != NULL;
             word = strtok_r(NULL, " \t\r\n=", &place)) {
            bool is_id = strcmp(word, "aws_access_key_id") == 0;
            const char **into = is_id ? &found_id : &found_secret;
            if ((is_id || strcmp(word, "aws_secret_access_key") == 0) && *into == NULL) {
                *into = strtok_r(NULL, " \t\r\n=", &place);
            }
        }
    }
    if (found_id == NULL || found_secret == NULL) {
        return ERR_NOT_FOUND;
    }
    keep->len += len + 1;
    *key_id = found_id;
    *secret = found_secret;
    return OK;
}
