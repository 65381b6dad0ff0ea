/*
 * How every fallible function reports: it returns 0 (or a value >= 0), or -1 with the error set. On
 * success the error is not touched. Callers return at once; the verb that began the work shows the
 * message.
 */
#ifndef MINI_ERROR_H
#define MINI_ERROR_H

struct error {
    int code; /* errno, or 0 when no system call failed */
    char message[1024];
};

/* Sets the error to the text and, when code is not 0, the meaning of that errno. Always returns -1.
 */
int err_set(struct error *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "text: " before the message that is there. Always returns -1. */
int err_wrap(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The name of an errno ("ENOENT"), or "EHELPER" for 0 and unknown ones. */
const char *err_name(int code);

#endif
