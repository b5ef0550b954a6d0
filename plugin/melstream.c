/* An LV2 instrument that carries MIDI to a melstream server, and its sound and state back.

   It computes nothing: the server does, in a process of its own. `run` never blocks and allocates
   nothing; late sound is a short fade and silence, as with every other output of the server. */

#define _GNU_SOURCE
#include "shared.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <lv2/atom/atom.h>
#include <lv2/atom/util.h>
#include <lv2/core/lv2.h>
#include <lv2/midi/midi.h>
#include <lv2/state/state.h>
#include <lv2/urid/urid.h>

#define PLUGIN_URI "urn:melstream:instrument"
#define STATE_URI "urn:melstream:instrument:desk"

enum Port { MIDI_IN, LEFT, RIGHT, LATENCY, SERVER, FIRST_KNOB };

typedef struct {
    const LV2_Atom_Sequence *midi_in;
    float *out[2];
    float *latency;
    float *server;
    const float *knobs[KNOBS];
    LV2_URID midi_event, state, text;
    Shared *shared;
    int file;
    char name[64];
    double rate;
    int64_t looks;   /* of the server, when they grew last */
    int64_t silent;  /* samples since then */
} Plugin;

static int64_t load(const int64_t *count) { return __atomic_load_n(count, __ATOMIC_ACQUIRE); }
static void store(int64_t *count, int64_t value) { __atomic_store_n(count, value, __ATOMIC_RELEASE); }

/* A new file of that name that is ours and locked, -1 if another plug-in holds it. What one that has
   crashed left behind is unlinked, not emptied: a server may still look at it. */
static int open_slot(const char *name) {
    for (int tries = 0; tries < 3; tries++) {
        int file = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (file >= 0) {
            if (!flock(file, LOCK_EX | LOCK_NB) && !ftruncate(file, sizeof(Shared))) return file;
            close(file);
            return -1;
        }
        int old = shm_open(name, O_RDWR | O_CLOEXEC, 0600);
        if (old < 0) return -1;
        bool held = flock(old, LOCK_EX | LOCK_NB);
        if (!held) shm_unlink(name);
        close(old);
        if (held) return -1;
    }
    return -1;
}

/* Take the first slot that no other plug-in holds. */
static bool take_slot(Plugin *self) {
    for (int slot = 1; slot <= SLOTS; slot++) {
        snprintf(self->name, sizeof self->name, "/melstream-plugin-%u-%d", (unsigned)getuid(), slot);
        int file = open_slot(self->name);
        if (file < 0) continue;
        void *memory = mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (memory == MAP_FAILED) {
            close(file);
            continue;
        }
        self->shared = memory;
        self->file = file;
        return true;
    }
    return false;
}

static LV2_Handle instantiate(const LV2_Descriptor *descriptor, double rate, const char *path,
                              const LV2_Feature *const *features) {
    (void)descriptor;
    (void)path;
    LV2_URID_Map *map = NULL;
    for (int i = 0; features[i]; i++)
        if (!strcmp(features[i]->URI, LV2_URID__map)) map = features[i]->data;
    if (!map || rate < 8000 || rate > RING_SAMPLES) return NULL;
    Plugin *self = calloc(1, sizeof(Plugin));
    if (!self) return NULL;
    if (!take_slot(self)) {
        free(self);
        return NULL;
    }
    self->midi_event = map->map(map->handle, LV2_MIDI__MidiEvent);
    self->state = map->map(map->handle, STATE_URI);
    self->text = map->map(map->handle, LV2_ATOM__String);
    self->rate = rate;
    self->silent = (int64_t)rate;
    Shared *shared = self->shared;
    shared->rate = (int64_t)rate;
    for (int i = 0; i < KNOBS; i++) shared->knobs[i] = 0.5f;
    /* Memory that is touched now is not waited for in `run`. */
    memset(shared->samples, 0, sizeof shared->samples);
    store(&shared->magic, MAGIC);
    return self;
}

static void connect_port(LV2_Handle handle, uint32_t port, void *data) {
    Plugin *self = handle;
    switch (port) {
    case MIDI_IN: self->midi_in = data; break;
    case LEFT: self->out[0] = data; break;
    case RIGHT: self->out[1] = data; break;
    case LATENCY: self->latency = data; break;
    case SERVER: self->server = data; break;
    default:
        if (port < FIRST_KNOB + KNOBS) self->knobs[port - FIRST_KNOB] = data;
    }
}

/* Hand a message on, with the moment at which it is due. */
static void hand_on(Shared *shared, int64_t due, const uint8_t *message, uint32_t size) {
    int64_t written = shared->midi_written;
    uint8_t head[12];
    int32_t length = (int32_t)size;
    memcpy(head, &due, 8);
    memcpy(head + 8, &length, 4);
    if (size > MIDI_BYTES / 2
        || written + 12 + size - load(&shared->midi_read) > MIDI_BYTES) {
        store(&shared->midi_lost, shared->midi_lost + 1);
        return;
    }
    for (uint32_t i = 0; i < 12; i++) shared->midi[(written + i) % MIDI_BYTES] = head[i];
    for (uint32_t i = 0; i < size; i++)
        shared->midi[(written + 12 + i) % MIDI_BYTES] = message[i];
    store(&shared->midi_written, written + 12 + size);
}

/* A sound that stops: its last sample falls to zero. */
static void stop_flow(Shared *shared) {
    if (shared->playout[FLOWING]) {
        shared->playout[FLOWING] = shared->playout[RISEN] = shared->playout[FALLEN] = 0;
        memcpy(shared->held, shared->last, sizeof shared->held);
    }
}

/* Add what is left of that fall to the samples from `from` to `to`. */
static void add_fall(Plugin *self, uint32_t from, uint32_t to) {
    Shared *shared = self->shared;
    int64_t left = shared->fall_length - shared->playout[FALLEN];
    int64_t count = left < to - from ? left : to - from;
    for (int64_t i = 0; i < count; i++)
        for (int c = 0; c < 2; c++)
            self->out[c][from + i] += shared->fall[shared->playout[FALLEN] + i] * shared->held[c];
    if (count > 0) shared->playout[FALLEN] += count;
}

/* The next samples of the server's sound; the same as `fill` of common/jack/playing.py. */
static void play(Plugin *self, uint32_t samples, int64_t now) {
    Shared *shared = self->shared;
    int64_t *playout = shared->playout, first = shared->ring[1];
    int64_t capacity = shared->rate, filled = load(&shared->ring[0]) - first;
    if (shared->fall_length < 0 || shared->fall_length > FALL_MOST) return;
    if (playout[LARGEST] < samples) playout[LARGEST] = samples;
    store(&playout[ASKED], playout[ASKED] + samples);
    if (load(&playout[MUTED])) {
        stop_flow(shared);
    } else if (!playout[FLOWING]) {
        int64_t enough = load(&playout[RESERVE]);
        if (enough < samples) enough = samples;
        if (enough > capacity) enough = capacity;
        playout[FLOWING] = filled >= enough;
    }
    bool flows = playout[FLOWING];
    uint32_t count = !flows || filled < 0 ? 0 : filled < samples ? (uint32_t)filled : samples;
    for (uint32_t i = 0; i < count; i++) {
        const float *sample = &shared->samples[2 * ((first + i) % capacity)];
        int64_t risen = playout[RISEN];
        float rise = risen < shared->fall_length ? 1 - shared->fall[risen] : 1;
        if (risen < shared->fall_length) playout[RISEN]++;
        for (int c = 0; c < 2; c++) self->out[c][i] = rise * sample[c];
    }
    store(&shared->ring[1], first + count);
    if (flows && count < samples) {
        add_fall(self, 0, count);
        if (count)
            for (int c = 0; c < 2; c++) shared->last[c] = self->out[c][count - 1];
        store(&playout[UNDERRUNS], playout[UNDERRUNS] + 1);
        stop_flow(shared);
        add_fall(self, count, samples);
    } else {
        add_fall(self, 0, samples);
    }
    if (samples)
        for (int c = 0; c < 2; c++) shared->last[c] = self->out[c][samples - 1];
    int64_t *slot = &playout[TIMES + 2 * ((playout[TAKEN] + 1) % 2)];
    slot[0] = now;
    slot[1] = playout[FLOWING] ? first : -1;
    store(&playout[TAKEN], playout[TAKEN] + 1);
}

static void run(LV2_Handle handle, uint32_t samples) {
    Plugin *self = handle;
    Shared *shared = self->shared;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    int64_t now = time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
    for (int c = 0; c < 2; c++) memset(self->out[c], 0, samples * sizeof(float));
    int64_t looks = load(&shared->looks);
    self->silent = looks == self->looks ? self->silent + samples : 0;
    self->looks = looks;
    /* Half a second without a look: no server is there. */
    bool served = looks && self->silent < self->rate / 2;
    LV2_ATOM_SEQUENCE_FOREACH(self->midi_in, event) {
        if (event->body.type != self->midi_event || !served) continue;
        int64_t due = now + (int64_t)(event->time.frames * 1e9 / self->rate);
        hand_on(shared, due, (const uint8_t *)(event + 1), event->body.size);
    }
    for (int i = 0; i < KNOBS; i++)
        if (self->knobs[i]) shared->knobs[i] = *self->knobs[i];
    play(self, samples, now);
    if (self->latency) *self->latency = served ? (float)load(&shared->latency) : 0;
    if (self->server) *self->server = served;
    store(&shared->cycles, shared->cycles + 1);
}

static void cleanup(LV2_Handle handle) {
    Plugin *self = handle;
    store(&self->shared->closed, 1);
    shm_unlink(self->name);
    munmap(self->shared, sizeof(Shared));
    close(self->file);
    free(self);
}

/* Copy a text that the other side may be writing; false if it is empty or never at rest. */
static bool copy_text(const Text *text, char *bytes, int64_t *length) {
    for (int tries = 0; tries < 1000; tries++) {
        int64_t version = load(&text->version);
        *length = text->length;
        if (version && version % 2 == 0 && *length >= 0 && *length < TEXT_BYTES) {
            memcpy(bytes, text->bytes, *length);
            __atomic_thread_fence(__ATOMIC_ACQUIRE);
            if (load(&text->version) == version) return *length > 0;
        }
        if (!version) return false;
        usleep(1000);
    }
    return false;
}

/* The session keeps the desk as it stands; if no server has told it, as it was restored last. */
static LV2_State_Status save(LV2_Handle handle, LV2_State_Store_Function keep,
                             LV2_State_Handle state, uint32_t flags,
                             const LV2_Feature *const *features) {
    (void)flags;
    (void)features;
    Plugin *self = handle;
    char *bytes = malloc(TEXT_BYTES);
    if (!bytes) return LV2_STATE_ERR_UNKNOWN;
    int64_t length = 0;
    LV2_State_Status status = LV2_STATE_SUCCESS;
    if (copy_text(&self->shared->now, bytes, &length)
        || copy_text(&self->shared->wanted, bytes, &length)) {
        bytes[length] = 0;
        status = keep(state, self->state, bytes, length + 1, self->text,
                      LV2_STATE_IS_POD | LV2_STATE_IS_PORTABLE);
    }
    free(bytes);
    return status;
}

static LV2_State_Status restore(LV2_Handle handle, LV2_State_Retrieve_Function get,
                                LV2_State_Handle state, uint32_t flags,
                                const LV2_Feature *const *features) {
    (void)flags;
    (void)features;
    Plugin *self = handle;
    size_t size = 0;
    uint32_t type = 0, kind = 0;
    const char *bytes = get(state, self->state, &size, &type, &kind);
    if (!bytes || type != self->text || !size || size > TEXT_BYTES) return LV2_STATE_SUCCESS;
    Text *wanted = &self->shared->wanted;
    store(&wanted->version, wanted->version + 1);
    size_t length = strnlen(bytes, size);
    memcpy(wanted->bytes, bytes, length);
    wanted->length = (int64_t)length;
    store(&wanted->version, wanted->version + 1);
    return LV2_STATE_SUCCESS;
}

static const void *extension_data(const char *uri) {
    static const LV2_State_Interface state = {save, restore};
    return strcmp(uri, LV2_STATE__interface) ? NULL : &state;
}

LV2_SYMBOL_EXPORT const LV2_Descriptor *lv2_descriptor(uint32_t index) {
    static const LV2_Descriptor descriptor = {
        PLUGIN_URI, instantiate, connect_port, NULL, run, NULL, cleanup, extension_data,
    };
    return index ? NULL : &descriptor;
}
