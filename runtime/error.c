#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct error *e, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int used = vsnprintf(e->message, sizeof e->message, format, args);
    va_end(args);
    e->code = code;
    if (code != 0 && used >= 0 && (size_t)used < sizeof e->message)
        snprintf(e->message + used, sizeof e->message - (size_t)used, ": %s", strerror(code));
    return -1;
}

int err_wrap(struct error *e, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct error old = *e;
    snprintf(e->message, sizeof e->message, "%s: %.700s", text, old.message);
    return -1;
}

const char *err_name(int code)
{
    const char *name = code > 0 ? strerrorname_np(code) : NULL;
    return name != NULL ? name : "EHELPER";
}
