// The usual ways to flush other CPUs' TLBs, as a kernel in C would write them. Each is as lean as its algorithm allows:
// no statistics, no deadline, no fallback, no lazy CPUs.
//
// A mask of CPUs is WORDS words of 64 bits, and WORDS is a constant of each exported function.

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define LINE _Alignas(64)
#define INLINE static inline __attribute__((always_inline))

enum { SLOTS = 64, SUCCESS = 0, PENDING = 1, MOST_WORDS = 16 };

// The rest of the machine, in Rust: takes the signal, and answers it in the targets' vectors. It is not counted.
void rar_bench_outside_signal(const void *world);

struct range {
    uint64_t pcid;
    uint64_t start;
    uint64_t pages;
};

// A function call that another CPU is asked for.
struct call {
    struct call *next;
    void (*function)(const void *);
    const void *argument;
    uint32_t locked;
};

struct machine {
    LINE uint64_t payloads[SLOTS][8];
    const void *world;
    // One line of 64 bytes for each CPU.
    uint8_t (*vectors)[SLOTS];
    struct {
        LINE struct call *first;
    } *queues;
    struct {
        _Alignas(32) struct call call;
    } *calls;
    uint64_t flushed;
    uint64_t online[MOST_WORDS];
    LINE uint64_t free_slots;
    struct {
        LINE uint8_t taken;
    } locks[SLOTS];
};

static void *zeroes(size_t bytes)
{
    uint8_t *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!memory)
        abort();
    for (size_t at = 0; at < bytes; at++)
        memory[at] = 0;
    return memory;
}

struct machine *rar_bench_c_machine(unsigned cpus)
{
    struct machine *m = zeroes(sizeof *m);
    m->vectors = zeroes(cpus * sizeof *m->vectors);
    m->queues = zeroes(cpus * sizeof *m->queues);
    m->calls = zeroes(cpus * sizeof *m->calls);
    m->free_slots = ~0ULL;
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        m->online[cpu / 64] |= 1ULL << cpu % 64;
    return m;
}

void rar_bench_c_set_world(struct machine *m, const void *world)
{
    m->world = world;
}

uint64_t *rar_bench_c_vector(struct machine *m, unsigned cpu)
{
    return (uint64_t *)m->vectors[cpu];
}

const uint64_t *rar_bench_c_payload(const struct machine *m, unsigned slot)
{
    return m->payloads[slot];
}

uint64_t rar_bench_c_flushed(const struct machine *m)
{
    return m->flushed;
}

// What the targets of function calls do. Not counted.
__attribute__((noinline)) static void rar_bench_outside_calls(struct machine *m, const uint64_t *targets,
                                                              unsigned words)
{
    for (unsigned cpu = 0; cpu < 64 * words; cpu++) {
        if (!(targets[cpu / 64] >> cpu % 64 & 1))
            continue;
        struct call *call = __atomic_exchange_n(&m->queues[cpu].first, NULL, __ATOMIC_ACQ_REL);
        while (call) {
            struct call *next = call->next;
            call->function(call->argument);
            m->flushed++;
            __atomic_store_n(&call->locked, 0, __ATOMIC_RELEASE);
            call = next;
        }
    }
}

static void flush_local(const void *range)
{
    (void)range;
}

INLINE void pause(void)
{
    __builtin_ia32_pause();
}

INLINE uint64_t relaxed(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

// The first member at or above `from`, or the size of the mask. Out of line, as in kernels.
__attribute__((noinline)) static unsigned next_member(const uint64_t *mask, unsigned size, unsigned from)
{
    if (from >= size)
        return size;
    unsigned word = from / 64;
    uint64_t rest = mask[word] & ~0ULL << from % 64;
    while (!rest) {
        if (++word * 64 >= size)
            return size;
        rest = mask[word];
    }
    return word * 64 + (unsigned)__builtin_ctzll(rest);
}

// Does something for each member: bit by bit through the function, or word by word.
#define FOR_EACH_MEMBER(by_word, mask, words, cpu, what)                                                              \
    do {                                                                                                              \
        if (by_word) {                                                                                                \
            _Pragma("GCC unroll 16") for (unsigned w_ = 0; w_ < (words); w_++) {                                      \
                for (uint64_t rest_ = (mask)[w_]; rest_; rest_ &= rest_ - 1) {                                        \
                    unsigned cpu = w_ * 64 + (unsigned)__builtin_ctzll(rest_);                                        \
                    what;                                                                                             \
                }                                                                                                     \
            }                                                                                                         \
        } else {                                                                                                      \
            unsigned size_ = 64 * (words);                                                                            \
            for (unsigned cpu = next_member(mask, size_, 0); cpu < size_; cpu = next_member(mask, size_, cpu + 1)) {  \
                what;                                                                                                 \
            }                                                                                                         \
        }                                                                                                             \
    } while (0)

// The targets that are online, except the caller; whether there is one.
INLINE bool remote(const struct machine *m, const uint64_t *targets, unsigned self, uint64_t *mask, unsigned words)
{
    // Behind the caller's page-table stores.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t any = 0;
#pragma GCC unroll 16
    for (unsigned w = 0; w < words; w++) {
        mask[w] = relaxed(&targets[w]) & relaxed(&m->online[w]);
        any |= mask[w];
    }
    uint64_t self_bit = 1ULL << self % 64;
    mask[self / 64] &= ~self_bit;
    if (any & ~self_bit)
        return true;
    // Rare: another CPU has the caller's bit in another word, or no CPU has one.
    any = 0;
    for (unsigned w = 0; w < words; w++)
        any |= mask[w];
    return any;
}

// One bitmap of free slots.
INLINE unsigned claim_from_bitmap(struct machine *m)
{
    for (;;) {
        uint64_t free = relaxed(&m->free_slots);
        if (!free) {
            pause();
            continue;
        }
        unsigned slot = (unsigned)__builtin_ctzll(free);
        uint64_t bit = 1ULL << slot;
        if (__atomic_fetch_and(&m->free_slots, ~bit, __ATOMIC_ACQUIRE) & bit)
            return slot;
    }
}

INLINE void free_to_bitmap(struct machine *m, unsigned slot)
{
    __atomic_fetch_or(&m->free_slots, 1ULL << slot, __ATOMIC_RELEASE);
}

// A lock for each slot; CPUs begin at different ones.
INLINE unsigned claim_by_lock(struct machine *m, unsigned self)
{
    for (unsigned slot = self % SLOTS;; slot = (slot + 1) % SLOTS) {
        if (!__atomic_exchange_n(&m->locks[slot].taken, 1, __ATOMIC_ACQUIRE))
            return slot;
        pause();
    }
}

INLINE void free_lock(struct machine *m, unsigned slot)
{
    __atomic_store_n(&m->locks[slot].taken, 0, __ATOMIC_RELEASE);
}

INLINE void flush_by_slot(struct machine *m, const uint64_t *targets, unsigned self, const struct range *range,
                          bool locks, bool by_word, unsigned words)
{
    uint64_t mask[words];
    if (!remote(m, targets, self, mask, words))
        return;
    unsigned slot = locks ? claim_by_lock(m, self) : claim_from_bitmap(m);
    uint64_t *payload = m->payloads[slot];
    payload[0] = 0x200 | range->pages << 37;
    payload[1] = 0;
    payload[2] = range->pcid;
    payload[3] = range->start;
    for (unsigned word = 4; word < 8; word++)
        payload[word] = 0;
    FOR_EACH_MEMBER(by_word, mask, words, cpu, __atomic_store_n(&m->vectors[cpu][slot], PENDING, __ATOMIC_RELEASE));
    rar_bench_outside_signal(m->world);
    FOR_EACH_MEMBER(by_word, mask, words, cpu, {
        while (__atomic_load_n(&m->vectors[cpu][slot], __ATOMIC_ACQUIRE) != SUCCESS)
            pause();
    });
    if (locks)
        free_lock(m, slot);
    else
        free_to_bitmap(m, slot);
}

// An ordinary interrupt whose handler takes calls from a queue of its CPU's.
INLINE void flush_by_call(struct machine *m, const uint64_t *targets, unsigned self, const struct range *range,
                          bool by_word, unsigned words)
{
    uint64_t mask[words];
    if (!remote(m, targets, self, mask, words))
        return;
    uint64_t interrupted[words];
    for (unsigned w = 0; w < words; w++)
        interrupted[w] = 0;
    bool any = false;
    FOR_EACH_MEMBER(by_word, mask, words, cpu, {
        struct call *call = &m->calls[cpu].call;
        while (__atomic_load_n(&call->locked, __ATOMIC_ACQUIRE))
            pause();
        call->locked = 1;
        call->function = flush_local;
        call->argument = range;
        struct call *first = __atomic_load_n(&m->queues[cpu].first, __ATOMIC_RELAXED);
        do
            call->next = first;
        while (!__atomic_compare_exchange_n(&m->queues[cpu].first, &first, call, true, __ATOMIC_RELEASE,
                                            __ATOMIC_RELAXED));
        // A CPU that finds the queue filled leaves the interrupt to the CPU that filled it.
        if (!first) {
            interrupted[cpu / 64] |= 1ULL << cpu % 64;
            any = true;
        }
    });
    if (any)
        rar_bench_outside_calls(m, interrupted, words);
    FOR_EACH_MEMBER(by_word, mask, words, cpu, {
        while (__atomic_load_n(&m->calls[cpu].call.locked, __ATOMIC_ACQUIRE))
            pause();
    });
}

#define EXPORT(words)                                                                                                 \
    void rar_bench_c_bitmap_bits_##words(struct machine *m, const uint64_t *t, unsigned self, const struct range *r)  \
    {                                                                                                                 \
        flush_by_slot(m, t, self, r, false, false, words);                                                            \
    }                                                                                                                 \
    void rar_bench_c_bitmap_words_##words(struct machine *m, const uint64_t *t, unsigned self, const struct range *r) \
    {                                                                                                                 \
        flush_by_slot(m, t, self, r, false, true, words);                                                             \
    }                                                                                                                 \
    void rar_bench_c_locks_bits_##words(struct machine *m, const uint64_t *t, unsigned self, const struct range *r)   \
    {                                                                                                                 \
        flush_by_slot(m, t, self, r, true, false, words);                                                             \
    }                                                                                                                 \
    void rar_bench_c_locks_words_##words(struct machine *m, const uint64_t *t, unsigned self, const struct range *r)  \
    {                                                                                                                 \
        flush_by_slot(m, t, self, r, true, true, words);                                                              \
    }                                                                                                                 \
    void rar_bench_c_calls_bits_##words(struct machine *m, const uint64_t *t, unsigned self, const struct range *r)   \
    {                                                                                                                 \
        flush_by_call(m, t, self, r, false, words);                                                                   \
    }                                                                                                                 \
    void rar_bench_c_calls_words_##words(struct machine *m, const uint64_t *t, unsigned self, const struct range *r)  \
    {                                                                                                                 \
        flush_by_call(m, t, self, r, true, words);                                                                    \
    }

EXPORT(1)
EXPORT(4)
EXPORT(16)
