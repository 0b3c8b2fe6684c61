// Writes float32 numbers as JSON text, in the notation of JavaScript (`String`). A whole number below 2^53 has all its digits. Any other
// text is the shortest decimal that a parser rounds to the same float32, and among these the closest. NaN and infinities are quoted.
// Raffaello Giulietti's algorithm Schubfach finds the digits: see "The Schubfach way to render doubles" (2020).
//
// The numbers arrive in chunks, so that the memory is fixed. float-text.ts is the only caller. Build, from this folder, with clang and lld
// (14 or later):
//
//   clang --target=wasm32 -O3 -nostdlib -fno-builtin -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=16384 -o number-writer.wasm number-writer.c
//
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define EXPORT(name) __attribute__((export_name(#name)))
#define CHUNK 4096
// The longest texts have 22 characters, such as -340282350000000000000. A comma follows each text. `put` writes whole words.
#define LONGEST 24

static u32 numbers[CHUNK];
static u8 text[CHUNK * LONGEST + 8];

EXPORT(numbers_at) int numbers_at(void) { return (int)numbers; }
EXPORT(text_at) int text_at(void) { return (int)text; }

// The first 64 bits of each power of ten from FIRST to 45, rounded up.
#define FIRST -31
static const u64 POWERS[] = {
  0x81CEB32C4B43FCF5ull, 0xA2425FF75E14FC32ull, 0xCAD2F7F5359A3B3Full, 0xFD87B5F28300CA0Eull,
  0x9E74D1B791E07E49ull, 0xC612062576589DDBull, 0xF79687AED3EEC552ull, 0x9ABE14CD44753B53ull,
  0xC16D9A0095928A28ull, 0xF1C90080BAF72CB2ull, 0x971DA05074DA7BEFull, 0xBCE5086492111AEBull,
  0xEC1E4A7DB69561A6ull, 0x9392EE8E921D5D08ull, 0xB877AA3236A4B44Aull, 0xE69594BEC44DE15Cull,
  0x901D7CF73AB0ACDAull, 0xB424DC35095CD810ull, 0xE12E13424BB40E14ull, 0x8CBCCC096F5088CCull,
  0xAFEBFF0BCB24AAFFull, 0xDBE6FECEBDEDD5BFull, 0x89705F4136B4A598ull, 0xABCC77118461CEFDull,
  0xD6BF94D5E57A42BDull, 0x8637BD05AF6C69B6ull, 0xA7C5AC471B478424ull, 0xD1B71758E219652Cull,
  0x83126E978D4FDF3Cull, 0xA3D70A3D70A3D70Bull, 0xCCCCCCCCCCCCCCCDull, 0x8000000000000000ull,
  0xA000000000000000ull, 0xC800000000000000ull, 0xFA00000000000000ull, 0x9C40000000000000ull,
  0xC350000000000000ull, 0xF424000000000000ull, 0x9896800000000000ull, 0xBEBC200000000000ull,
  0xEE6B280000000000ull, 0x9502F90000000000ull, 0xBA43B74000000000ull, 0xE8D4A51000000000ull,
  0x9184E72A00000000ull, 0xB5E620F480000000ull, 0xE35FA931A0000000ull, 0x8E1BC9BF04000000ull,
  0xB1A2BC2EC5000000ull, 0xDE0B6B3A76400000ull, 0x8AC7230489E80000ull, 0xAD78EBC5AC620000ull,
  0xD8D726B7177A8000ull, 0x878678326EAC9000ull, 0xA968163F0A57B400ull, 0xD3C21BCECCEDA100ull,
  0x84595161401484A0ull, 0xA56FA5B99019A5C8ull, 0xCECB8F27F4200F3Aull, 0x813F3978F8940985ull,
  0xA18F07D736B90BE6ull, 0xC9F2C9CD04674EDFull, 0xFC6F7C4045812297ull, 0x9DC5ADA82B70B59Eull,
  0xC5371912364CE306ull, 0xF684DF56C3E01BC7ull, 0x9A130B963A6C115Dull, 0xC097CE7BC90715B4ull,
  0xF0BDC21ABB48DB21ull, 0x96769950B50D88F5ull, 0xBC143FA4E250EB32ull, 0xEB194F8E1AE525FEull,
  0x92EFD1B8D0CF37BFull, 0xB7ABC627050305AEull, 0xE596B7B0C643C71Aull, 0x8F7E32CE7BEA5C70ull,
  0xB35DBF821AE4F38Cull,
};

// The greatest whole number up to e * log2(10), e * log10(2), and e * log10(2) + log10(3/4).
static inline int log2_of_power(int e) { return (e * 1741647) >> 19; }
static inline int log10_of_power(int e) { return (e * 1262611) >> 22; }
static inline int log10_of_three_quarters(int e) { return (e * 1262611 - 524031) >> 22; }

// The upper 32 of the 96 bits of a product. The lowest bit also says whether a lower bit is set.
static inline u32 round_to_odd(u64 power, u32 value) {
  u64 product = (power >> 32) * value + (((power & 0xFFFFFFFF) * value) >> 32);
  return (u32)(product >> 32) | ((u32)product > 1);
}

// The digits of a positive finite number, which is digits * 10^exponent.
static inline u64 digits_of(u32 bits, int *exponent) {
  u32 fraction = bits & 0x7FFFFF, biased = bits >> 23;
  u32 c = biased ? fraction | 0x800000 : fraction;
  int q = biased ? (int)biased - 150 : -149;
  *exponent = 0;
  if (q > 0 && q <= 29) return (u64)c << q;
  if (q <= 0 && q > -24 && (c & ((1u << -q) - 1)) == 0) return c >> -q;
  // The next lower number is closer at a power of two.
  int is_power = fraction == 0 && biased > 1;
  int k = is_power ? log10_of_three_quarters(q) : log10_of_power(q);
  int shift = q + log2_of_power(-k) + 1;
  u64 power = POWERS[-k - FIRST];
  u32 excluded = c & 1;
  u32 lower = round_to_odd(power, (4 * c - 2 + is_power) << shift) + excluded;
  u32 value = round_to_odd(power, (4 * c) << shift);
  u32 upper = round_to_odd(power, (4 * c + 2) << shift) - excluded;
  u32 digits = value / 4;
  *exponent = k;
  if (digits >= 10) {
    u32 tens = digits / 10;
    int below = lower <= 40 * tens, above = 40 * tens + 40 <= upper;
    if (below != above) {
      *exponent = k + 1;
      return tens + above;
    }
  }
  int below = lower <= 4 * digits, above = 4 * digits + 4 <= upper;
  if (below != above) return digits + above;
  u32 middle = 4 * digits + 2;
  return digits + (value > middle || (value == middle && (digits & 1)));
}

// Writes the digits of a number from the end, and returns their count. A division of 32 bits takes a fraction of the time.
static inline int put_digits(u8 *end, u64 number) {
  u8 *p = end;
  for (; number >> 32; number /= 10) *--p = '0' + number % 10;
  u32 value = (u32)number;
  do {
    *--p = '0' + value % 10;
    value /= 10;
  } while (value);
  return (int)(end - p);
}

static inline u8 *put(u8 *p, const char *word, int length) {
  for (int at = 0; at < length; at++) p[at] = word[at];
  return p + length;
}

static inline u8 *put_number(u8 *p, u32 bits) {
  if (bits << 1 > 0xFF000000u) return put(p, "\"NaN\"", 5);
  if (bits == 0x7F800000u) return put(p, "\"Infinity\"", 10);
  if (bits == 0xFF800000u) return put(p, "\"-Infinity\"", 11);
  if (bits >> 31) *p++ = '-';
  if (bits << 1 == 0) {
    *p++ = '0';
    return p;
  }
  int exponent;
  u64 value = digits_of(bits & 0x7FFFFFFF, &exponent);
  u8 digits[16];
  int count = put_digits(digits + 16, value);
  const u8 *first = digits + 16 - count;
  // The place of the decimal point: the number is 0.digits * 10^point.
  int point = count + exponent;
  while (first[count - 1] == '0') count--;
  if (point > 21 || point < -5) {
    *p++ = *first;
    if (count > 1) *p++ = '.';
    for (int at = 1; at < count; at++) *p++ = first[at];
    *p++ = 'e';
    *p++ = point > 0 ? '+' : '-';
    u32 size = point > 0 ? point - 1 : 1 - point;
    if (size > 9) *p++ = '0' + size / 10;
    *p++ = '0' + size % 10;
    return p;
  }
  if (point <= 0) {
    *p++ = '0';
    *p++ = '.';
    for (int at = point; at < 0; at++) *p++ = '0';
  }
  for (int at = 0; at < count; at++) {
    if (at == point && at > 0) *p++ = '.';
    *p++ = first[at];
  }
  for (int at = count; at < point; at++) *p++ = '0';
  return p;
}

// Writes the first `count` numbers, separated by commas. Returns the length of the text in bytes.
EXPORT(write) int write(int count) {
  u8 *p = text;
  for (int at = 0; at < count; at++) {
    if (at) *p++ = ',';
    p = put_number(p, numbers[at]);
  }
  return (int)(p - text);
}
