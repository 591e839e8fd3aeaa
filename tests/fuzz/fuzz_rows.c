/* Stored rows and settings: decoders that see what a disk holds. */
#include "proto/catalog.h"
#include "proto/rows.h"
#include "proto/settings.h"
#include "shard/engine/group.h"
#include "tests/fuzz/fuzz.h"

static void transfer_one(struct span in, struct arena *a)
{
    struct transfer t;
    struct bytes first = BYTES_NONE;
    struct bytes second = BYTES_NONE;
    if (transfer_decode(in, a, &t) == SG_OK) {
        transfer_encode(&t, &first);
        CHECK(transfer_decode(span_bytes(&first), a, &t) == SG_OK);
        transfer_encode(&t, &second);
        CHECK(span_eq(span_bytes(&first), span_bytes(&second)));
    }
    bytes_release(&first);
    bytes_release(&second);
}

static void settings_one(struct span in, struct arena *a)
{
    struct settings s;
    struct bytes first = BYTES_NONE;
    struct bytes second = BYTES_NONE;
    if (settings_decode(in, a, &s) == SG_OK) {
        settings_encode(&s, &first);
        CHECK(settings_decode(span_bytes(&first), a, &s) == SG_OK);
        settings_encode(&s, &second);
        CHECK(span_eq(span_bytes(&first), span_bytes(&second)));
    }
    bytes_release(&first);
    bytes_release(&second);
}

static void row(unsigned which, struct span in, struct arena *a)
{
    union {
        struct transfer_row transfer;
        struct fold_row fold;
        struct window_row window;
        struct file_row file;
        struct counters_row counters;
        struct event_row event;
    } u;
    enum sg_err err = SG_OK;

    switch (which) {
    case 0:
        err = transfer_row_decode(in, a, &u.transfer);
        break;
    case 1:
        err = fold_row_decode(in, &u.fold);
        break;
    case 2:
        err = window_row_decode(in, &u.window);
        break;
    case 3:
        err = file_row_decode(in, a, &u.file);
        break;
    case 4:
        err = counters_row_decode(in, &u.counters);
        break;
    default:
        err = event_row_decode(in, a, &u.event);
        break;
    }
    CHECK(err == SG_OK || err == SG_INVALID || err == SG_UNSUPPORTED);
}

static void catalog(unsigned which, struct span in, struct arena *a)
{
    union {
        struct catalog_command command;
        struct catalog_result result;
        struct catalog_row row;
        struct node_settings node;
        struct defaults_settings defaults;
        struct endpoint_settings endpoint;
        struct originator_settings originator;
        struct calendar_settings calendar;
        struct shard_settings shard;
    } u;
    enum sg_err errs[] = {
        catalog_command_decode(in, a, &u.command),
        catalog_result_decode(in, a, &u.result),
        catalog_row_decode(in, a, &u.row),
        node_settings_decode(in, a, &u.node),
        defaults_settings_decode(in, a, &u.defaults),
        endpoint_settings_decode(in, a, &u.endpoint),
        originator_settings_decode(in, a, &u.originator),
        calendar_settings_decode(in, a, &u.calendar),
        shard_settings_decode(in, a, &u.shard),
    };
    CHECK(errs[which] == SG_OK || errs[which] == SG_INVALID);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct arena a = ARENA_INIT;
    unsigned which;

    fuzz_begin();
    which = fuzz_choose(&in, 17);
    if (which < 6) {
        row(which, in, &a);
    } else if (which < 15) {
        catalog(which - 6, in, &a);
    } else if (which == 15) {
        transfer_one(in, &a);
    } else if (which == 16) {
        settings_one(in, &a);
    }
    arena_release(&a);
    return 0;
}
