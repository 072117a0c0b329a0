/* Says which lanes this processor has, and compares every way to the CRC-32 with the definition, bit by bit, over many
   lengths, alignments and remainders. */
#include "../../../src/kernels/native/checksum.h"
#include <stdio.h>

enum { bytes = 4096 };

static uint32_t by_definition(const uint8_t *data, size_t length, uint32_t remainder) {
  while (length-- > 0) {
    remainder ^= *data++;
    for (int bit = 0; bit < 8; bit++) remainder = times_x(remainder);
  }
  return remainder;
}

static uint32_t state = 1;
static uint32_t draw(void) {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}

int main(void) {
  static uint8_t data[bytes];
  int cases = 0, wrong = 0;
  for (int i = 0; i < bytes; i++) data[i] = (uint8_t)draw();
  for (; cases < 3000; cases++) {
    const size_t from = draw() % 64, length = draw() % (cases < 2000 ? 700 : bytes - 64);
    const uint32_t before = draw(), expected = by_definition(data + from, length, before);
    wrong += checksum_by_tables(data + from, length, before) != expected;
#ifdef LANES
    if (has_lanes()) wrong += checksum_by_lanes(data + from, length, before) != expected;
#endif
#ifdef __x86_64__
    if (has_wide_lanes()) wrong += checksum_by_wide_lanes(data + from, length, before) != expected;
#endif
  }
#ifdef LANES
  const int lanes = has_lanes();
#else
  const int lanes = 0;
#endif
  printf("%d cases, %d wrong, lanes: %d\n", cases, wrong, lanes);
  return 0;
}
