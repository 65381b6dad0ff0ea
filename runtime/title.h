/* The command line that ps shows for this process. */
#ifndef MINI_TITLE_H
#define MINI_TITLE_H

/* Shows the text from now on; as it was when there is no room for it. getenv finds nothing after
 * that. */
void title_set(const char *text);

#endif
