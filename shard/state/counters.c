#include "shard/state/counters.h"

struct bucket {
    uint64_t *count;
    struct cents *cents;
};

static struct bucket bucket_of(struct counters_row *c, enum transfer_state state, enum side side)
{
    CHECK(side == SIDE_DEBIT || side == SIDE_CREDIT);
    bool debit = side == SIDE_DEBIT;
    switch (state) {
    case TRANSFER_PENDING:
        return (struct bucket){&c->pending_count, debit ? &c->pending_debit : &c->pending_credit};
    case TRANSFER_SEALED:
        return (struct bucket){&c->sealed_count, debit ? &c->sealed_debit : &c->sealed_credit};
    case TRANSFER_CANCELLED:
        return (struct bucket){&c->cancelled_count, debit ? &c->cancelled_debit : &c->cancelled_credit};
    case TRANSFER_STATES:
        break;
    }
    check_failed(__FILE__, __LINE__, "a transfer's state");
}

static void bucket_add(struct bucket b, struct cents amount)
{
    /* Never more than what was accepted, which fitted. */
    enum sg_err err = cents_add(*b.cents, amount, b.cents);
    CHECK(err == SG_OK);
    *b.count += 1;
}

static void bucket_take(struct bucket b, struct cents amount)
{
    CHECK(*b.count > 0);
    CHECK(b.cents->n >= amount.n);
    *b.count -= 1;
    b.cents->n -= amount.n;
}

bool counters_accept(struct counters_row *c, enum side side, struct cents amount)
{
    struct cents *accepted = side == SIDE_DEBIT ? &c->accepted_debit : &c->accepted_credit;
    if (cents_add(*accepted, amount, accepted) != SG_OK) {
        return false;
    }
    c->accepted_count++;
    bucket_add(bucket_of(c, TRANSFER_PENDING, side), amount);
    return true;
}

void counters_move(struct counters_row *c, enum transfer_state from, enum transfer_state to, enum side side,
                   struct cents amount)
{
    bucket_take(bucket_of(c, from, side), amount);
    bucket_add(bucket_of(c, to, side), amount);
}

static void check_sum(struct cents whole, struct cents a, struct cents b, struct cents c)
{
    int64_t rest = whole.n;
    CHECK(a.n >= 0 && a.n <= rest);
    rest -= a.n;
    CHECK(b.n >= 0 && b.n <= rest);
    rest -= b.n;
    CHECK(c.n == rest);
}

void counters_check(const struct counters_row *c)
{
    CHECK(c->accepted_count == c->pending_count + c->sealed_count + c->cancelled_count);
    CHECK(c->accepted_count == c->next_seq - 1);
    check_sum(c->accepted_debit, c->pending_debit, c->sealed_debit, c->cancelled_debit);
    check_sum(c->accepted_credit, c->pending_credit, c->sealed_credit, c->cancelled_credit);
}
