/* session_note.h: what the broker's process of kill_sessions tells of each request, before it is
 * made and when it is answered, through a pipe that outlives it. */
#pragma once

#include "broker/delivery.h"

#define SESSIONS 12       /* named "0", "1" ... */
#define NUMBERS_MAX 50000 /* messages of one session, numbered in the order of publishing */
#define RECEIVERS 5
#define LOCK_MS 300
#define HELD_MAX 64 /* tokens of a former process that a new one tries */

enum note_kind {
    NOTE_SEND,    /* message: is published */
    NOTE_SENT,    /* err */
    NOTE_TAKE,    /* receiver asks */
    NOTE_TAKEN,   /* session, n messages; SESSION_NONE */
    NOTE_MESSAGE, /* one of them, in their order: number, deliveries, token */
    NOTE_STATE,   /* session: its state is number */
    NOTE_SETTLE,  /* message: accept or release, or both of session: its state becomes number */
    NOTE_SETTLED, /* err */
    NOTE_SET,     /* session: its state becomes number */
    NOTE_WAS_SET, /* err */
    NOTE_LEAVE,   /* session: released */
    NOTE_LEFT,    /* err */
};

#define SESSION_NONE SESSIONS

/* One write to the pipe, which is atomic. */
struct note {
    enum note_kind kind;
    uint32_t receiver; /* RECEIVERS: who tries the tokens of a former process */
    uint32_t session, number, deliveries;
    enum settle_verb verb;
    enum err err;
    struct lock_token token;
    uint64_t at_us; /* monotonic; a take's is not after it began, others' not before it ended */
};

/* What a process is born with. */
struct session_life {
    const char *dir;
    uint64_t seed;
    int out;                        /* the pipe */
    uint32_t next_number[SESSIONS]; /* to be published */
    bool draining;                  /* publishes nothing, accepts everything */
    struct note held[HELD_MAX];     /* messages that a former process had acquired */
    uint32_t held_n;
};

/* The broker and its clients, until somebody kills the process. */
_Noreturn void session_process(const struct session_life *life);
