/* What transfers submit learnt of each transfer, and how it is told. */
#ifndef SUPERVISOR_CLI_SUBMIT_H
#define SUPERVISOR_CLI_SUBMIT_H

#include "supervisor/cli/cli.h"
#include "supervisor/cli/transfer_json.h"

enum verdict { NOT_SENT, ACCEPTED, FOLDED, REJECTED, UNAVAILABLE, UNKNOWN, VERDICTS };

struct result {
    enum verdict verdict;
    uint64_t index;
    struct span reason;
    enum submit_state state; /* FOLDED, and not paid. */
    struct span note;
};

/* Show results (one an item of list, none NOT_SENT) and say what to do about those
 * that were not taken: as a table, and each reason once, with its place in the
 * input, which is called path; or as JSON. Answers the status. */
enum cli_exit submit_answer(const struct cli *c, const char *path, const struct transfer_list *list,
                            const struct result *results);

#endif
