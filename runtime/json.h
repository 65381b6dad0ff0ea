/* Reading JSON by dotted path, with a default for what is absent or of another type. */
#ifndef MINI_JSON_H
#define MINI_JSON_H

#include "error.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Largest config.json or request that is read. */
#define JSON_SIZE_MAX ((size_t)16 << 20)

/* "a.b.c" within object; NULL when a part is missing or null. The object keeps owning the value. */
json_object *json_at(json_object *object, const char *path);
const char *json_text(json_object *object, const char *path, const char *otherwise);
int64_t json_number(json_object *object, const char *path, int64_t otherwise);
bool json_flag(json_object *object, const char *path, bool otherwise);
/* Length of the array at path, 0 when there is none; its entries. */
size_t json_count(json_object *object, const char *path);
json_object *json_entry(json_object *array, size_t index);
const char *json_entry_text(json_object *array, size_t index);
bool json_has_text(json_object *array, const char *text);

int json_parse(struct error *e, const char *text, json_object **object);
int json_read_file(struct error *e, const char *path, json_object **object);
void json_put_text(json_object *object, const char *key, const char *text);
void json_put_number(json_object *object, const char *key, int64_t number);
/* To standard output, for people. */
void json_print(json_object *object);
const char *json_line(json_object *object);

#endif
