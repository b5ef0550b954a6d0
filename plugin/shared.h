/* The memory that the plug-in and the server share: common/plugin/memory.py has the same layout.

   The plug-in makes the file and holds a lock on it as long as it lives. Every field has one
   writer: the plug-in (P) or the server (S). Counts only grow; whoever writes data publishes its
   count afterwards. */

#ifndef MELSTREAM_SHARED_H
#define MELSTREAM_SHARED_H

#include <stdint.h>

#define MAGIC INT64_C(0x316d7274736c656d) /* "melstrm1" */
#define SLOTS 16                          /* plug-ins at once on a machine, for each user */
#define KNOBS 6
#define FALL_MOST 1024    /* samples of a fade */
#define MIDI_BYTES 65536
#define TEXT_BYTES 65536  /* the state of a session, as text */
#define RING_SAMPLES 192000 /* a second at the highest rate */

/* Places in `playout`; common/jack/playing.py says what each one is. */
enum { RESERVE, MUTED, ASKED, LARGEST, UNDERRUNS, FLOWING, RISEN, FALLEN, TAKEN, TIMES };

/* One text, with its version: odd while it is being written. */
typedef struct {
    int64_t version;
    int64_t length;
    char bytes[TEXT_BYTES];
} Text;

typedef struct {
    int64_t magic;         /* P, last of all */
    int64_t rate;          /* P: Hz of the host */
    int64_t cycles;        /* P: how often the host has called */
    int64_t closed;        /* P: the host has taken the plug-in away */
    int64_t latency;       /* S: samples from a MIDI message to its sound */
    int64_t looks;         /* S: grows while a server is there */
    int64_t applied;       /* S: version of `wanted` that the desk has taken */
    int64_t ring[2];       /* samples written (S) and read (P) */
    int64_t playout[13];   /* RESERVE and MUTED: S; the others: P */
    int64_t fall_length;   /* S */
    int64_t midi_written;  /* P: bytes */
    int64_t midi_read;     /* S */
    int64_t midi_lost;     /* P: messages without room */
    float knobs[8];        /* P: 0..1, as the host has them; KNOBS are used */
    float held[2];         /* P: the sample that a fade began with */
    float last[2];         /* P: the latest one */
    float fall[FALL_MOST]; /* S: from 1 to 0, the shape of a fade */
    uint8_t midi[MIDI_BYTES]; /* P: records of int64 ns, int32 length, and the message */
    Text now;              /* S: how the desk stands */
    Text wanted;           /* P: how the session wants it to stand */
    float samples[RING_SAMPLES * 2]; /* S: left and right in turn */
} Shared;

#endif
