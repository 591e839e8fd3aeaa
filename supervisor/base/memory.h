/* One policy for memory in the whole program: proto/base/mem.h's. */
#ifndef SUPERVISOR_BASE_MEMORY_H
#define SUPERVISOR_BASE_MEMORY_H

/* libraft and jansson allocate by proto/base/mem.h from here on. By themselves they
 * go on without what they got no memory for: jansson with a document that lacks
 * a member. For programs, before anything else of these libraries; again is no
 * harm. libyaml and LMDB take no allocator; they report errors. */
void memory_begin(void);

#endif
