/* sys/file: reads that never wait give all of what was asked for, and the right bytes, or say that
 * they would have to wait. */
#include "sys/file.h"

#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define LEN 20000u

static void resident_reads_give_all_or_nothing(void)
{
    char path[] = "/tmp/hw-file-XXXXXX";
    static uint8_t data[LEN];
    static uint8_t out[LEN];
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    for (size_t i = 0; i < LEN; i++) {
        data[i] = (uint8_t)(i * 7 + i / 256);
    }
    CHECK(file_write(fd, data, LEN, 0) == OK && file_sync(fd) == OK);
    for (unsigned round = 0; round < 2; round++) {
        for (size_t offset = 0; offset < LEN; offset += 1500) {
            enum err err = file_read_resident(fd, out, LEN - offset, offset);
            CHECK(err == ERR_INCOMPLETE ||
                  (err == OK && memcmp(out, data + offset, LEN - offset) == 0));
        }
        CHECK(file_read_resident(fd, out, 2, LEN - 1) == ERR_INCOMPLETE);
        CHECK(file_read_resident(fd, out, 1, LEN) == ERR_INCOMPLETE);
        /* Out of the page cache, where the volume lets go of it. */
        CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
    }
    CHECK(file_close(fd) == OK && unlink(path) == 0);
    CHECK(file_read_resident(-1, out, 1, 0) == ERR_INCOMPLETE);
}

/* What half a rename may leave of a power cut: the name beside is the file itself. */
static void a_file_is_replaced_though_its_neighbour_is_the_same(void)
{
    char dir[] = "/tmp/hw-file-XXXXXX";
    char path[64];
    char beside[64];
    char found[8] = "";
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/f", dir);
    snprintf(beside, sizeof(beside), "%s/f.new", dir);
    CHECK(file_write_all(path, BYTES("old"), 0600) == OK);
    CHECK(link(path, beside) == 0);
    CHECK(file_write_all(path, BYTES("new"), 0600) == OK);
    int fd = open(path, O_RDONLY);
    CHECK(read(fd, found, sizeof(found)) == 3 && found[0] == 'n');
    close(fd);
    CHECK(!file_exists(beside));
    CHECK(unlink(path) == 0 && rmdir(dir) == 0);
}

int main(void)
{
    RUN(resident_reads_give_all_or_nothing);
    RUN(a_file_is_replaced_though_its_neighbour_is_the_same);
    return CHECK_RESULT();
}
