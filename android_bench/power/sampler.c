// Reads a phone's nodes at a fixed rate: see android_bench/power/trace.py for what it writes.
//
//   sampler PERIOD_MS LIMIT_S NAME=PATH...   to stdout, until SIGTERM or the limit
//
// Each node is opened once and read again from its beginning, the times of reading are absolute so
// that delays don't add up, and rows are written once a second: sampling must not be a load.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_NODES = 64, BUFFER = 1 << 16, ROW = 64 + MAX_NODES * 24 };

static volatile sig_atomic_t stopped;

static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

static int64_t now_us(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static char buffer[BUFFER];
static size_t filled;

static int flush(void) {
  size_t done = 0;
  while (done < filled) {
    ssize_t n = write(STDOUT_FILENO, buffer + done, filled - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;  // the disk is full: what was written before stays readable
    done += (size_t)n;
  }
  filled = 0;
  return 1;
}

// The first line of a node where it is a whole number, else "-".
static size_t value(int node, char *out) {
  char text[32];
  ssize_t n = pread(node, text, sizeof text - 1, 0);
  size_t length = 0;
  while (n > 0 && length < (size_t)n && text[length] != '\n') length++;
  size_t digits = length && text[0] == '-' ? 1 : 0;
  if (n <= 0 || length == digits || length > 19) {
    *out = '-';
    return 1;
  }
  for (size_t i = digits; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') {
      *out = '-';
      return 1;
    }
  }
  memcpy(out, text, length);
  return length;
}

int main(int count, char **words) {
  if (count < 4 || count - 3 > MAX_NODES) {
    fprintf(stderr, "usage: sampler PERIOD_MS LIMIT_S NAME=PATH...\n");
    return 2;
  }
  const int64_t period_us = atoll(words[1]) * 1000, limit_us = atoll(words[2]) * 1000000;
  if (period_us < 10000 || limit_us <= 0) {
    fprintf(stderr, "sampler: a period of 10 ms or more and a limit above 0 s\n");
    return 2;
  }
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  action.sa_handler = SIG_IGN;
  sigaction(SIGHUP, &action, NULL);

  int nodes[MAX_NODES], many = 0;
  printf("mmz-sampler 1 native\n");
  for (int i = 3; i < count; i++) {
    char *path = strchr(words[i], '=');
    if (path == NULL) return 2;
    *path++ = 0;
    const char *how = "node";
    int node = open(path, O_RDONLY | O_CLOEXEC);
    char probe[32];
    if (node >= 0 && pread(node, probe, sizeof probe, 0) < 0 && (errno == EACCES || errno == EPERM)) {
      close(node);
      node = -1;
    }
    if (node >= 0) {
      nodes[many++] = node;
    } else {
      how = errno == EACCES || errno == EPERM ? "denied" : "missing";
    }
    printf("%s %s %s\n", how, words[i], path);
  }
  printf("start\n");
  if (fflush(stdout) != 0) return 1;

  const int64_t start_us = now_us(CLOCK_MONOTONIC);
  int64_t written_us = start_us;
  for (int64_t number = 0; !stopped; number++) {
    const int64_t at_us = start_us + number * period_us;
    struct timespec at = {at_us / 1000000, at_us % 1000000 * 1000};
    while (!stopped && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
    const int64_t awake_us = now_us(CLOCK_MONOTONIC), boot_us = now_us(CLOCK_BOOTTIME);
    if (stopped || awake_us - start_us > limit_us) break;
    char row[ROW];
    size_t length = (size_t)snprintf(row, sizeof row, "%lld %lld", (long long)awake_us, (long long)boot_us);
    for (int i = 0; i < many; i++) {
      row[length++] = ' ';
      length += value(nodes[i], row + length);
    }
    row[length++] = '\n';
    memcpy(buffer + filled, row, length);
    filled += length;
    if (awake_us - written_us >= 1000000 || filled > BUFFER - ROW) {
      if (!flush()) return 1;
      written_us = awake_us;
    }
    // After a long pause, such as a suspend, the moments that were missed are left out.
    const int64_t missed = (now_us(CLOCK_MONOTONIC) - at_us) / period_us;
    if (missed > 0) number += missed;
  }
  return flush() ? 0 : 1;
}
