/* The write-ahead log by itself: a writer and a follower of one folder. */
#include "journal/test_platform.h"

#include "journal/wal.h"

static int folder_fd;
static struct wal wal;
static struct wal_reader reader;
static char room[WAL_HEAD + WAL_RECORDS_MAX + WAL_BLOCK];
static uint64_t n_written;

static void commit(size_t bytes, bool turn)
{
    memset(room + WAL_HEAD, (int)(n_written % 255), bytes);
    struct wal_batch b = {.first_index = n_written++,
                          .n_records = 1,
                          .epoch = 1,
                          .records = str_of(room + WAL_HEAD, bytes)};
    assert_ok(wal_reserve(&wal));
    assert_ok(wal_commit(&wal, room, &b, turn));
}

/* What is read is what was written, in order, n batches from the first-th on. */
static void read_batches(uint64_t first, uint64_t n)
{
    struct wal_batch b;
    for (uint64_t i = first; i < first + n; i++) {
        assert_ok(wal_reader_next(&reader, &b));
        assert_int_equal(b.first_index, i);
        assert_int_equal((uint8_t)b.records.p[b.records.n / 2], i % 255);
    }
}

static int open_all(void **state)
{
    start(state);
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    n_written = 0;
    wal_open(&wal, folder_fd, 0, 0);
    wal_reader_init(&reader, folder_fd, 0);
    return 0;
}

static int close_all(void **state)
{
    wal_reader_free(&reader);
    wal_close(&wal);
    close(folder_fd);
    return end(state);
}

static void batches_of_every_size(void **state)
{
    struct wal_batch b;
    (void)state;
    assert_int_equal(wal_reader_next(&reader, &b), ERR_NOT_FOUND);
    for (size_t i = 0; i < 40; i++)
        commit(1 + i * i * 600, false);
    commit(WAL_RECORDS_MAX, false);
    read_batches(0, 41);
    assert_int_equal(reader.position, wal.end);
    assert_int_equal(wal_reader_next(&reader, &b), ERR_NOT_FOUND);
}

static void segments_are_used_again(void **state)
{
    char name[32];
    struct stat st;
    (void)state;
    for (uint64_t i = 0; i < 300; i++) { /* some 19 segments */
        commit(WAL_RECORDS_MAX, false);
        read_batches(i, 1);
        if (i % 20 == 0)
            wal_release(&wal, reader.position);
        if (i % 30 == 0)
            assert_ok(wal_prepare(&wal));
    }
    assert_true(wal.next > 18);
    wal_release(&wal, reader.position);
    unsigned files = 0;
    for (uint64_t s = 0; s < wal.next + WAL_READY_MAX + 1; s++)
        files += fstatat(folder_fd, wal_segment_name(s, name), &st, 0) == 0;
    assert_in_range(files, 2, 1 + WAL_READY_MAX);
}

static void a_follower_too_far_behind_is_waited_for(void **state)
{
    enum err e = ERR_OK;
    (void)state;
    while ((e = wal_reserve(&wal)) == ERR_OK)
        commit(WAL_RECORDS_MAX, false);
    assert_int_equal(e, ERR_AGAIN);
    read_batches(0, n_written);
    wal_release(&wal, reader.position);
    assert_ok(wal_reserve(&wal));
}

static void after_an_erasure_no_old_content_stays(void **state)
{
    char name[32];
    struct stat st;
    (void)state;
    for (int i = 0; i < 40; i++)
        commit(WAL_RECORDS_MAX, false);
    read_batches(0, 40);
    wal_release(&wal, reader.position);
    assert_true(wal.ready_used);
    commit(100, true);
    read_batches(40, 1);
    assert_ok(wal_scrub(&wal, reader.position));
    for (uint64_t s = 0; s < wal.next + WAL_READY_MAX + 1; s++)
        assert_int_not_equal(fstatat(folder_fd, wal_segment_name(s, name), &st, 0), 0);
    commit(100, false);
    read_batches(41, 1);
}

/* A process before this one left a segment without a batch: the follower has looked into it. */
static void a_file_made_anew_is_seen(void **state)
{
    struct wal_batch b;
    (void)state;
    assert_ok(wal_prepare(&wal));
    assert_int_equal(wal_reader_next(&reader, &b), ERR_NOT_FOUND);
    wal_close(&wal);
    wal_open(&wal, folder_fd, reader.position, reader.last);
    commit(10, false);
    read_batches(0, 1);
}

static void flip(uint64_t position)
{
    char name[32], c;
    int fd = openat(folder_fd, wal_segment_name(position / WAL_SEGMENT, name), O_RDWR);
    assert_int_equal(pread(fd, &c, 1, (off_t)(position % WAL_SEGMENT)), 1);
    c ^= 1;
    assert_int_equal(pwrite(fd, &c, 1, (off_t)(position % WAL_SEGMENT)), 1);
    close(fd);
}

static void a_damaged_batch_ends_the_log_and_shows(void **state)
{
    struct wal_batch b;
    uint64_t places[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        places[i] = wal.end;
        commit(5000, i == 1); /* the third is in another segment */
    }
    flip(places[1] + 100);
    read_batches(0, 1);
    assert_int_equal(wal_reader_next(&reader, &b), ERR_NOT_FOUND);
    assert_true(wal_reader_looks_cut(&reader));
    flip(places[1] + 100);
    read_batches(1, 2);
    assert_false(wal_reader_looks_cut(&reader));
    /* The last one: as if it had never been written whole. */
    wal_reader_free(&reader);
    wal_reader_init(&reader, folder_fd, 0);
    flip((places[1] / WAL_SEGMENT + 1) * WAL_SEGMENT + 60);
    read_batches(0, 2);
    assert_int_equal(wal_reader_next(&reader, &b), ERR_NOT_FOUND);
    assert_false(wal_reader_looks_cut(&reader));
}

static void no_space_is_said_before_anything_is_written(void **state)
{
    struct wal_batch b;
    (void)state;
    commit(10, false);
    read_batches(0, 1);
    disk_fault = disk_is_full;
    seen->disk_full = true;
    while (wal.at % WAL_SEGMENT < WAL_SEGMENT - 2 * WAL_RECORDS_MAX)
        commit(WAL_RECORDS_MAX - WAL_BLOCK, false);
    commit(WAL_RECORDS_MAX, false);
    assert_int_equal(wal_reserve(&wal), ERR_FULL);
    assert_int_equal(wal_prepare(&wal), ERR_FULL);
    seen->disk_full = false;
    assert_ok(wal_reserve(&wal));
    commit(10, false);
    read_batches(1, n_written - 1);
    assert_int_equal(wal_reader_next(&reader, &b), ERR_NOT_FOUND);
    disk_fault = NULL;
}

int main(void)
{
#define UNIT(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
    const struct CMUnitTest tests[] = {
        UNIT(batches_of_every_size),
        UNIT(segments_are_used_again),
        UNIT(a_follower_too_far_behind_is_waited_for),
        UNIT(after_an_erasure_no_old_content_stays),
        UNIT(a_file_made_anew_is_seen),
        UNIT(a_damaged_batch_ends_the_log_and_shows),
        UNIT(no_space_is_said_before_anything_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
