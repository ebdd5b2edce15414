/* The program: finds the subcommand. */
#include "server/server.h"

#include <stdio.h>

/* Of commands that speak to a server. */
#define WHERE                                                                                      \
    "\n\nAnswers are shown as tables on a terminal and as a line of JSON each in a pipe. The "     \
    "address and the key come\n"                                                                   \
    "from --data DIR (default ./data) of a server on this machine, unless --endpoint URL and "     \
    "--credentials FILE\n(and --region) are given. AWS_CA_BUNDLE names the certificates that an "  \
    "https address is checked by."

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"serve", command_serve, "run the server"},
    {"tail", command_tail, "print a table's stream as JSON lines, live"},
    {"table", command_table, "list, describe, create and delete tables"},
    {"item", command_item, "get, put, delete, query and scan items"},
    {"key", command_key, "make, list, disable and delete access keys"},
    {"log", command_log, "verify a data directory, also while a server runs on it; dump its log"},
    {"doctor", command_doctor, "check disk, limits, clock and memory for a data directory"},
    {"describe-operations", command_describe_operations, "print every operation's fields as JSON"},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int usage(FILE *out, int status);
static int help_of(const char *name);

int main(int argc, char **argv)
{
    if (argc < 2) {
        return usage(stderr, EXIT_USAGE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        return argc > 2 ? help_of(argv[2]) : usage(stdout, EXIT_CLEAN);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("headwater " HW_VERSION "\n");
        return EXIT_CLEAN;
    }
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return help_of(argv[1]);
        }
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 2, argv + 2);
        }
    }
    fprintf(stderr, "headwater: there is no command '%s'\n", argv[1]);
    return usage(stderr, EXIT_USAGE);
}

static int usage(FILE *out, int status)
{
    fprintf(out, "Usage: headwater COMMAND [options]\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  %-20s %s\n", commands[i].name, commands[i].help);
    }
    fprintf(out, "\n  headwater COMMAND --help tells a command's options and shows an example.\n");
    return status;
}

static int help_of(const char *name)
{
    if (strcmp(name, "serve") == 0) {
        struct buf text;
        buf_init(&text, 64u << 10);
        config_help(&text);
        printf("Usage: headwater serve [options]\n\n%.*s\n"
               "Each option may also be a line 'option = value' of the file that --config names, "
               "or a variable\n"
               "HEADWATER_OPTION (dashes as underscores). Flags win over variables, variables over "
               "the file.\n\n"
               "Example: headwater serve --data ./data --listen 127.0.0.1:8000\n",
               BYTES_FMT(buf_bytes(&text)));
        buf_fini(&text);
    } else if (strcmp(name, "tail") == 0) {
        printf("Usage: headwater tail TABLE [--from PLACE] [--events EVENT[,EVENT]] [--filter "
               "CONDITION]\n"
               "       [--names JSON] [--values JSON] [--count N]\n"
               "       [--data DIR | --endpoint URL --credentials FILE] [--region REGION]\n\n"
               "Prints each record of the table's stream as one line of JSON, as it happens. PLACE "
               "is latest (what comes from\n"
               "now on, the default), start, at:NUMBER or after:NUMBER (a sequence number), a time "
               "ago (90s, 10m, 2h, 7d) or\n"
               "a time in UTC (2026-01-31T09:00:00Z). EVENT is INSERT, MODIFY or REMOVE. CONDITION "
               "is a filter expression\n"
               "over the item: the new image, else the old one, else the keys. It ends after N "
               "printed records (0, the\n"
               "default: never), with the stream, or when nobody reads. The address and the key "
               "come from DIR (default ./data)\n"
               "of a server on this machine unless they are given. It waits for a server that goes "
               "away and continues where it\n"
               "was.\n\n"
               "Example: headwater tail Music --from 10m --filter 'Plays > :n' --values "
               "'{\":n\":{\"N\":\"1\"}}'\n");
    } else if (strcmp(name, "table") == 0) {
        printf("Usage: headwater table list\n"
               "       headwater table describe|delete TABLE\n"
               "       headwater table create TABLE --key NAME:TYPE[,NAME:TYPE] [--stream VIEW]\n\n"
               "TYPE is S, N or B: of the partition key, then of the sort key. VIEW is KEYS_ONLY, "
               "NEW_IMAGE, OLD_IMAGE or\n"
               "NEW_AND_OLD_IMAGES." WHERE "\n\n"
               "Examples:\n"
               "  headwater table list\n"
               "  headwater table describe Music\n"
               "  headwater table create Music --key Artist:S,Song:S --stream NEW_AND_OLD_IMAGES\n"
               "  headwater table delete Music\n");
    } else if (strcmp(name, "item") == 0) {
        printf(
            "Usage: headwater item get TABLE KEY\n"
            "       headwater item delete TABLE KEY [--if CONDITION]\n"
            "       headwater item put TABLE ITEM [--if CONDITION]\n"
            "       headwater item query TABLE --key CONDITION [--filter CONDITION] [--from "
            "start|end] [--limit N]\n"
            "       headwater item scan TABLE [--filter CONDITION] [--limit N]\n"
            "       all but get with [--names JSON] [--values JSON]\n\n"
            "KEY, ITEM and values are DynamoDB's JSON, as the AWS CLI has it; KEY and ITEM may "
            "also "
            "be @FILE, to be read from\n"
            "that file, or -, from standard input. N is of items printed: 0, the default, is all "
            "of "
            "them." WHERE "\n\n"
            "Examples:\n"
            "  headwater item put Music '{\"Artist\":{\"S\":\"Björk\"},\"Song\":{\"S\":\"Jóga\"},"
            "\"Plays\":{\"N\":\"1\"}}'\n"
            "  headwater item put Music @song.json\n"
            "  headwater item get Music "
            "'{\"Artist\":{\"S\":\"Björk\"},\"Song\":{\"S\":\"Jóga\"}}'\n"
            "  headwater item query Music --key 'Artist = :a' --values "
            "'{\":a\":{\"S\":\"Björk\"}}' --from end --limit 10\n"
            "  headwater item scan Music --filter 'Plays > :n' --values "
            "'{\":n\":{\"N\":\"0\"}}'\n"
            "  headwater item delete Music "
            "'{\"Artist\":{\"S\":\"Björk\"},\"Song\":{\"S\":\"Jóga\"}}' "
            "--if 'attribute_exists(Plays)'\n");
    } else if (strcmp(name, "key") == 0) {
        printf("Usage: headwater key list\n"
               "       headwater key create NAME --policy FILE\n"
               "       headwater key policy NAME --policy FILE\n"
               "       headwater key disable|enable|delete NAME\n\n"
               "FILE holds a policy in IAM's JSON; NAME may also be the access key id of a key "
               "that is there. A change holds\n"
               "from its answer on. The secret is shown by create, this once." WHERE "\n\n"
               "Examples:\n"
               "  headwater key list\n"
               "  headwater key create reader --policy read.json\n"
               "  headwater key policy reader --policy read-and-write.json\n"
               "  headwater key disable reader\n"
               "  headwater key enable reader\n"
               "  headwater key delete reader\n");
    } else if (strcmp(name, "doctor") == 0) {
        printf(
            "Usage: headwater doctor [--data DIR]\n\n"
            "Looks whether a server would do well on DIR (default ./data, which need not exist): "
            "room and file system of\n"
            "the volume, what a sync costs, direct access, open files, clock, memory. Each "
            "finding is a line that begins\n"
            "with OK, WARN or FAIL and says what to change; in a pipe it is a line of JSON. It "
            "writes one small file and\n"
            "removes it; a server may run meanwhile. Status 1: something is FAIL.\n\n"
            "Example: headwater doctor --data /var/lib/headwater\n");
    } else if (strcmp(name, "log") == 0) {
        printf("Usage: headwater log verify|dump --data DIR\n"
               "       headwater log verify --online [--bytes-per-second N]\n"
               "       [--data DIR | --endpoint URL --credentials FILE] [--region REGION]\n\n"
               "verify reads every byte of the log and of the view's files, compares the view with "
               "what the log makes of\n"
               "it, and says whether all is whole; dump prints every record as one line of JSON. "
               "Neither changes\n"
               "anything; the server must not run. With --online the server that runs on DIR, or "
               "at URL, reads them\n"
               "itself while it serves, at N bytes a second (else its --scrub-bytes-per-second), "
               "and compares as many\n"
               "rows as fit into its memory, others each time; a terminal shows how far it is. "
               "Where such a pass is\n"
               "under way already that one is waited for. Status 3: damage, with file and place; "
               "4: a file cannot be\nread.\n\n"
               "Examples:\n"
               "  headwater log verify --data ./data\n"
               "  headwater log verify --online\n"
               "  headwater log dump --data ./data\n");
    } else {
        return usage(stdout, EXIT_CLEAN);
    }
    return EXIT_CLEAN;
}
