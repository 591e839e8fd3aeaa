/* Uses an installed Shardgate through its public headers alone. */
#include <shardgate/client.h>
#include <stdio.h>

int main(void)
{
    struct shardgate_client *client = NULL;
    struct shardgate_error error = {0};
    /* Nobody answers there: making the handle must not need an answer. */
    int err = shardgate_client_new("tcp://127.0.0.1:1", &client, &error);
    if (err != SHARDGATE_OK) {
        (void)fprintf(stderr, "%s: %s\n", shardgate_err_text(err), error.text);
        return 1;
    }
    shardgate_client_free(client);
    return 0;
}
