/* File systems by their magic numbers, of which linux/magic.h has some only. */
#include "sys/volume.h"

#include "sys/file.h"

#include <stddef.h>
#include <sys/vfs.h>

static const struct {
    uint32_t magic;
    enum volume_kind kind;
    const char *name;
} known[] = {
    {0x0000ef53, VOLUME_DISK, "ext4"},
    {0x58465342, VOLUME_DISK, "xfs"},
    {0x9123683e, VOLUME_DISK, "btrfs"},
    {0x2fc12fc1, VOLUME_DISK, "zfs"},
    {0xf2f52010, VOLUME_DISK, "f2fs"},
    {0xca451a4e, VOLUME_DISK, "bcachefs"},
    {0x01021994, VOLUME_MEMORY, "tmpfs"},
    {0x858458f6, VOLUME_MEMORY, "ramfs"},
    {0x00006969, VOLUME_REMOTE, "nfs"},
    {0xff534d42, VOLUME_REMOTE, "cifs"},
    {0xfe534d42, VOLUME_REMOTE, "smb2"},
    {0x65735546, VOLUME_REMOTE, "fuse"},
    {0x01021997, VOLUME_REMOTE, "9p"},
    {0x00c36400, VOLUME_REMOTE, "ceph"},
    {0x794c7630, VOLUME_OTHER, "overlayfs"},
    {0x6a656a63, VOLUME_REMOTE, "fakeowner (a shared folder)"},
};

enum err volume_look(const char *path, struct volume *out)
{
    struct statfs status;
    struct volume volume = {.kind = VOLUME_OTHER, .name = "unknown"};
    TRY(volume_free(path, &volume.free_bytes));
    if (statfs(path, &status) != 0) {
        return ERR_IO;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].magic == (uint32_t)status.f_type) {
            volume.kind = known[i].kind;
            volume.name = known[i].name;
        }
    }
    *out = volume;
    return OK;
}
