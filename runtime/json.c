#include "json.h"

#include "clean.h"
#include "io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

json_object *json_at(json_object *object, const char *path)
{
    while (object != NULL && *path != '\0') {
        char key[64];
        size_t size = strcspn(path, ".");
        if (size >= sizeof key || !json_object_is_type(object, json_type_object))
            return NULL;
        memcpy(key, path, size);
        key[size] = '\0';
        json_object *next = NULL;
        if (!json_object_object_get_ex(object, key, &next))
            return NULL;
        object = next;
        path += size + (path[size] == '.');
    }
    return object;
}

const char *json_text(json_object *object, const char *path, const char *otherwise)
{
    json_object *value = json_at(object, path);
    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : otherwise;
}

int64_t json_number(json_object *object, const char *path, int64_t otherwise)
{
    json_object *value = json_at(object, path);
    return json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : otherwise;
}

bool json_flag(json_object *object, const char *path, bool otherwise)
{
    json_object *value = json_at(object, path);
    return json_object_is_type(value, json_type_boolean) ? json_object_get_boolean(value) != 0
                                                         : otherwise;
}

size_t json_count(json_object *object, const char *path)
{
    json_object *value = json_at(object, path);
    return json_object_is_type(value, json_type_array) ? json_object_array_length(value) : 0;
}

json_object *json_entry(json_object *array, size_t index)
{
    return json_object_array_get_idx(array, index);
}

const char *json_entry_text(json_object *array, size_t index)
{
    json_object *value = json_entry(array, index);
    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

bool json_has_text(json_object *array, const char *text)
{
    size_t count = json_count(array, "");
    for (size_t i = 0; i < count; i++)
        if (strcmp(json_entry_text(array, i), text) == 0)
            return true;
    return false;
}

int json_parse(struct error *e, const char *text, json_object **object)
{
    enum json_tokener_error failure = json_tokener_success;
    *object = json_tokener_parse_verbose(text, &failure);
    if (failure != json_tokener_success)
        return err_set(e, 0, "not JSON: %s", json_tokener_error_desc(failure));
    return 0;
}

int json_read_file(struct error *e, const char *path, json_object **object)
{
    cleanup_free char *text = NULL;
    if (file_read(e, path, &text, JSON_SIZE_MAX) < 0)
        return -1;
    if (json_parse(e, text, object) < 0)
        return err_wrap(e, "%s", path);
    return 0;
}

void json_put_text(json_object *object, const char *key, const char *text)
{
    json_object_object_add(object, key, json_object_new_string(text));
}

void json_put_number(json_object *object, const char *key, int64_t number)
{
    json_object_object_add(object, key, json_object_new_int64(number));
}

const char *json_line(json_object *object)
{
    return json_object_to_json_string_ext(object,
                                          JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

void json_print(json_object *object)
{
    printf("%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
                                                              JSON_C_TO_STRING_NOSLASHESCAPE));
}
