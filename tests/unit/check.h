/* What a unit test needs: CHECK says what did not hold and where, and goes on; the program's exit
 * status is the number of failures (at most 99). A test is a function run by RUN(name), which
 * prints it. */
#ifndef HW_TEST_CHECK_H
#define HW_TEST_CHECK_H

#include "base/bytes.h"

#include <stdio.h>

__attribute__((unused)) static int check_failures;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            check_failures++;                                                                      \
            printf("%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                   \
        }                                                                                          \
    } while (0)

#define CHECK_BYTES(actual, expected)                                                              \
    do {                                                                                           \
        struct bytes actual_ = (actual);                                                           \
        struct bytes expected_ = (expected);                                                       \
        if (!bytes_equal(actual_, expected_)) {                                                    \
            check_failures++;                                                                      \
            printf("%s:%d: %s is \"%.*s\", expected \"%.*s\"\n", __FILE__, __LINE__, #actual,      \
                   BYTES_FMT(actual_), BYTES_FMT(expected_));                                      \
        }                                                                                          \
    } while (0)

#define RUN(test)                                                                                  \
    do {                                                                                           \
        int before_ = check_failures;                                                              \
        test();                                                                                    \
        printf("%s %s\n", check_failures == before_ ? "ok  " : "FAIL", #test);                     \
    } while (0)

#define CHECK_SKIPPED 100 /* of a program that can show nothing in this build */
#define CHECK_RESULT() (check_failures > 99 ? 99 : check_failures)

#endif
