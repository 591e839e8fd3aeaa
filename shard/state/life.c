#include "shard/state/life.h"

#define BIT(n) (1u << (n))

static const unsigned transfer_next[TRANSFER_STATES] = {
    [TRANSFER_PENDING] = BIT(TRANSFER_SEALED) | BIT(TRANSFER_CANCELLED),
    [TRANSFER_SEALED] = BIT(TRANSFER_CANCELLED), /* Only with its whole file. */
    [TRANSFER_CANCELLED] = 0,
};

static const unsigned window_next[WINDOW_STATES] = {
    [WINDOW_CLOSED] = BIT(WINDOW_SEALED),
    [WINDOW_SEALED] = 0,
    [WINDOW_MISSED] = 0,
};

static const unsigned file_next[FILE_STATES] = {
    [FILE_SEALED] = BIT(FILE_CLAIMED) | BIT(FILE_HOLD) | BIT(FILE_ABANDONED),
    [FILE_CLAIMED] = BIT(FILE_CLAIMED) | BIT(FILE_STAGED) | BIT(FILE_HOLD) | BIT(FILE_ABANDONED),
    [FILE_STAGED] = BIT(FILE_UPLOADED) | BIT(FILE_SEALED) | BIT(FILE_HOLD) | BIT(FILE_ABANDONED),
    /* Only an operator; by STAGED when a staged copy must be taken back first, by SEALED
     * when its window was on hold and nothing was begun. */
    [FILE_HOLD] = BIT(FILE_UPLOADED) | BIT(FILE_ABANDONED) | BIT(FILE_STAGED) | BIT(FILE_SEALED),
    [FILE_UPLOADED] = 0,
    [FILE_ABANDONED] = 0,
};

CHECK_STATIC(TRANSFER_STATES <= 32, "transfer_next[] holds 32 bits");
CHECK_STATIC(WINDOW_STATES <= 32, "window_next[] holds 32 bits");
CHECK_STATIC(FILE_STATES <= 32, "file_next[] holds 32 bits");

void transfer_move(struct transfer_row *t, enum transfer_state next)
{
    CHECK((transfer_next[t->state] & BIT(next)) != 0);
    t->state = next;
    CHECK_IMPLIES(next == TRANSFER_SEALED, t->file != 0);
    CHECK_IMPLIES(next == TRANSFER_SEALED, t->trace != 0);
    CHECK_IMPLIES(next == TRANSFER_CANCELLED, t->cancelled_index != 0);
}

void window_move(struct window_row *w, enum window_state next)
{
    CHECK((window_next[w->state] & BIT(next)) != 0);
    w->state = next;
}

bool file_can_move(const struct file_row *f, enum file_state next)
{
    return (file_next[f->state] & BIT(next)) != 0;
}

void file_move(struct file_row *f, enum file_state next)
{
    CHECK(file_can_move(f, next));
    f->state = next;
    CHECK_IMPLIES(next == FILE_CLAIMED, f->attempt != 0);
    CHECK_IMPLIES(next == FILE_CLAIMED, !f->cancel_wanted);
    CHECK_IMPLIES(next == FILE_STAGED, f->staged_attempt == f->attempt);
    CHECK_IMPLIES(f->resolve != FILE_RESOLVE_NONE, next == FILE_STAGED && f->cancel_wanted);
    CHECK_IMPLIES(next == FILE_SEALED, f->staged_attempt == 0);
    CHECK_IMPLIES(next == FILE_ABANDONED, f->staged_attempt == 0);
    CHECK_IMPLIES(next == FILE_ABANDONED, f->abandoned_ms != 0);
    CHECK_IMPLIES(next == FILE_UPLOADED, f->uploaded_ms != 0);
}
