/* Uses an installed Shardgate through its public headers alone. */
#include <shardgate/client.h>
#include <stdio.h>
#include <string.h>

#if SHARDGATE_VERSION_NUMBER < 100
#error "the header has no version"
#endif

/* Names that the library has inside, too: they are the program's. */
int client_new(void);
int frame_decode(void);
int client_new(void)
{
    return 17;
}
int frame_decode(void)
{
    return 18;
}

int main(void)
{
    struct shardgate_client *client = NULL;
    struct shardgate_error error = SHARDGATE_ERROR_INIT;
    struct shardgate_transfer transfer = SHARDGATE_TRANSFER_INIT;
    struct shardgate_result result = SHARDGATE_RESULT_INIT;
    /* Nobody answers there: making the handle must not need an answer. */
    int err = shardgate_client_new("tcp://127.0.0.1:1", &client, &error);
    if (err != SHARDGATE_OK) {
        (void)fprintf(stderr, "%s: %s\n", shardgate_err_text(err), error.text);
        return 1;
    }
    transfer.id = "no-routing-number";
    err = shardgate_client_submit(client, &transfer, 1, &result, &error);
    shardgate_client_free(client);
    if (err != SHARDGATE_OK || result.outcome != SHARDGATE_REJECTED ||
        strcmp(shardgate_version(), SHARDGATE_VERSION_TEXT) != 0) {
        (void)fprintf(stderr, "%d %d %s %s\n", err, result.outcome, error.text, shardgate_version());
        return 1;
    }
    return client_new() == 17 && frame_decode() == 18 ? 0 : 1;
}
