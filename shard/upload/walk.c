/* What several steps are made of. */
#include "shard/upload/walk.h"

void upload_unclear(struct upload *u, enum upload_step next, const struct bank_request *r)
{
    upload_retry(u, next, r->text[0] != '\0' ? r->text : bank_answer_name(r->answer));
}

void upload_stat(struct upload *u, const char *suffix)
{
    upload_send(u, upload_request(u, BANK_STAT, suffix), NULL);
}

void upload_create(struct upload *u, const char *suffix, struct bytes *data)
{
    struct bank_request *r = upload_request(u, BANK_CREATE, suffix);
    r->sha256 = sha256_of(span_bytes(data));
    upload_send(u, r, data);
}

void upload_commit_attempt(struct upload *u, enum command_kind kind)
{
    struct command c = {.kind = kind};
    c.file.attempt = u->attempt;
    if (kind == COMMAND_HOLD) {
        c.file.reason = span_str(u->reason);
        c.file.resolving = u->is_resolving;
    }
    upload_commit(u, &c);
}

void upload_back_to_start(struct upload *u, const struct command_result *result)
{
    (void)result;
    upload_move(u, UPLOAD_START);
}
