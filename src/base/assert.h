/* A bug is ours: it ends the process with the place and the broken promise. ASSERT stays on in
 * every build; DASSERT, for costly walks, only in debug builds. Input, configuration and disk
 * contents are never asserted: they get faults and errors (base I9). */
#ifndef HW_BASE_ASSERT_H
#define HW_BASE_ASSERT_H

__attribute__((noreturn)) void assert_failed(const char *what, const char *file, int line);

#define ASSERT(condition)                                                                          \
    (__builtin_expect(!!(condition), 1) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__))

#ifdef HW_TEST_HOOKS
#define DASSERT(condition) ASSERT(condition)
#else
#define DASSERT(condition) ((void)sizeof(condition))
#endif

#endif
