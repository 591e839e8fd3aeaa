/* The inside of a simulated bank: what bank.c (requests at the server) and
 * bank_world.c (what happens to the server itself) share. */
#ifndef TESTS_SIM_BANK_H
#define TESTS_SIM_BANK_H

#include "tests/sim/sim.h"

struct errand;

struct bank_file {
    char name[BANK_NAME_SIZE];
    enum bank_place place;
    struct bytes data;
    uint64_t written_us;   /* Its bytes and its name are on the disk from then on. */
    struct errand *writer; /* That is being answered; NULL: nobody. */
    bool is_unsynced;      /* Renamed, and the directories not flushed since: */
    enum bank_place old_place;
    char old_name[BANK_NAME_SIZE];
    bool is_ghost;    /* A roll-back brought it back. */
    bool is_stranger; /* Somebody else's, under a name of ours. */
    struct bank_file *next;
};

/* A name of which the bank itself has made evidence what it is. */
struct bank_fact {
    char name[BANK_NAME_SIZE];
    enum bank_fact_kind kind;
    struct bank_fact *next;
};

struct sim_bank {
    struct sim *sim;
    unsigned index;
    struct bank_file *files;
    struct bank_file *backup;
    bool has_backup;
    bool broke_its_word;
    struct delivery *deliveries;
    struct bank_fact *facts;
    bool picking;
    uint64_t full_until_us;
};

struct bank_file **bank_find(struct sim_bank *b, enum bank_place place, const char *name);
void bank_unlink(struct bank_file **at);
struct bank_file *bank_file_add(struct sim_bank *b, enum bank_place place, const char *name,
                                struct span data);
/* By final name: NULL when there is none; made when there is none. */
struct delivery *bank_delivery_find(struct sim_bank *b, const char *name);
struct delivery *bank_delivery_of(struct sim_bank *b, const char *name);
/* The bank looks into its drop directory. */
void bank_pick_soon(struct sim_bank *b);
void bank_tear(struct sim_bank *b);

#endif
