// Reads the numbers of a JSON array into doubles. The array can be nested, and all arrays of a level have the same length.
// Each double equals the number that JSON.parse returns, with one exception: where this code cannot round with certainty (more than 19
// digits, or an extreme exponent), it returns SLOW with the place of the number, and the caller continues with `resume`.
//
// The text arrives in chunks, so that the memory is fixed and the caller can do other work between two chunks. number-array.ts is the
// only caller. Build, from this folder, with clang and lld (14 or later):
//
//   clang --target=wasm32 -O3 -nostdlib -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=16384 -o number-scanner.wasm number-scanner.c
//
typedef unsigned char u8;
typedef unsigned long long u64;

#define EXPORT(name) __attribute__((export_name(#name)))
#define CHUNK 65536
#define DEPTH 8

enum { DONE, MORE, SLOW, REFUSED };
enum { VALUE, AFTER };

// The state of one array between two chunks. The caller keeps a copy for each array, because the scans of several arrays can alternate.
static struct {
  int expects, depth, levels;
  int counts[DEPTH], dims[DEPTH];
} state;

// The result of the last call: the first byte that was not read, the numbers written, and the bytes of a SLOW number.
static struct {
  int at, numbers, from, to;
} result;

// Eight more bytes: `first_digits` reads eight bytes at once.
static u8 text[CHUNK + 8];
static double numbers[CHUNK / 2 + 2];

EXPORT(text_at) int text_at(void) { return (int)text; }
EXPORT(numbers_at) int numbers_at(void) { return (int)numbers; }
EXPORT(state_at) int state_at(void) { return (int)&state; }
EXPORT(result_at) int result_at(void) { return (int)&result; }

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

// The first 128 bits of each power of ten from FIRST to LAST. Positive powers are rounded down, negative powers are rounded up.
#define FIRST -64
#define LAST 44
static const u64 BITS[][2] = {
  {0xA87FEA27A539E9A5ull, 0x3F2398D747B36225ull},
  {0xD29FE4B18E88640Eull, 0x8EEC7F0D19A03AAEull},
  {0x83A3EEEEF9153E89ull, 0x1953CF68300424ADull},
  {0xA48CEAAAB75A8E2Bull, 0x5FA8C3423C052DD8ull},
  {0xCDB02555653131B6ull, 0x3792F412CB06794Eull},
  {0x808E17555F3EBF11ull, 0xE2BBD88BBEE40BD1ull},
  {0xA0B19D2AB70E6ED6ull, 0x5B6ACEAEAE9D0EC5ull},
  {0xC8DE047564D20A8Bull, 0xF245825A5A445276ull},
  {0xFB158592BE068D2Eull, 0xEED6E2F0F0D56713ull},
  {0x9CED737BB6C4183Dull, 0x55464DD69685606Cull},
  {0xC428D05AA4751E4Cull, 0xAA97E14C3C26B887ull},
  {0xF53304714D9265DFull, 0xD53DD99F4B3066A9ull},
  {0x993FE2C6D07B7FABull, 0xE546A8038EFE402Aull},
  {0xBF8FDB78849A5F96ull, 0xDE98520472BDD034ull},
  {0xEF73D256A5C0F77Cull, 0x963E66858F6D4441ull},
  {0x95A8637627989AADull, 0xDDE7001379A44AA9ull},
  {0xBB127C53B17EC159ull, 0x5560C018580D5D53ull},
  {0xE9D71B689DDE71AFull, 0xAAB8F01E6E10B4A7ull},
  {0x9226712162AB070Dull, 0xCAB3961304CA70E9ull},
  {0xB6B00D69BB55C8D1ull, 0x3D607B97C5FD0D23ull},
  {0xE45C10C42A2B3B05ull, 0x8CB89A7DB77C506Bull},
  {0x8EB98A7A9A5B04E3ull, 0x77F3608E92ADB243ull},
  {0xB267ED1940F1C61Cull, 0x55F038B237591ED4ull},
  {0xDF01E85F912E37A3ull, 0x6B6C46DEC52F6689ull},
  {0x8B61313BBABCE2C6ull, 0x2323AC4B3B3DA016ull},
  {0xAE397D8AA96C1B77ull, 0xABEC975E0A0D081Bull},
  {0xD9C7DCED53C72255ull, 0x96E7BD358C904A22ull},
  {0x881CEA14545C7575ull, 0x7E50D64177DA2E55ull},
  {0xAA242499697392D2ull, 0xDDE50BD1D5D0B9EAull},
  {0xD4AD2DBFC3D07787ull, 0x955E4EC64B44E865ull},
  {0x84EC3C97DA624AB4ull, 0xBD5AF13BEF0B113Full},
  {0xA6274BBDD0FADD61ull, 0xECB1AD8AEACDD58Full},
  {0xCFB11EAD453994BAull, 0x67DE18EDA5814AF3ull},
  {0x81CEB32C4B43FCF4ull, 0x80EACF948770CED8ull},
  {0xA2425FF75E14FC31ull, 0xA1258379A94D028Eull},
  {0xCAD2F7F5359A3B3Eull, 0x096EE45813A04331ull},
  {0xFD87B5F28300CA0Dull, 0x8BCA9D6E188853FDull},
  {0x9E74D1B791E07E48ull, 0x775EA264CF55347Eull},
  {0xC612062576589DDAull, 0x95364AFE032A819Eull},
  {0xF79687AED3EEC551ull, 0x3A83DDBD83F52205ull},
  {0x9ABE14CD44753B52ull, 0xC4926A9672793543ull},
  {0xC16D9A0095928A27ull, 0x75B7053C0F178294ull},
  {0xF1C90080BAF72CB1ull, 0x5324C68B12DD6339ull},
  {0x971DA05074DA7BEEull, 0xD3F6FC16EBCA5E04ull},
  {0xBCE5086492111AEAull, 0x88F4BB1CA6BCF585ull},
  {0xEC1E4A7DB69561A5ull, 0x2B31E9E3D06C32E6ull},
  {0x9392EE8E921D5D07ull, 0x3AFF322E62439FD0ull},
  {0xB877AA3236A4B449ull, 0x09BEFEB9FAD487C3ull},
  {0xE69594BEC44DE15Bull, 0x4C2EBE687989A9B4ull},
  {0x901D7CF73AB0ACD9ull, 0x0F9D37014BF60A11ull},
  {0xB424DC35095CD80Full, 0x538484C19EF38C95ull},
  {0xE12E13424BB40E13ull, 0x2865A5F206B06FBAull},
  {0x8CBCCC096F5088CBull, 0xF93F87B7442E45D4ull},
  {0xAFEBFF0BCB24AAFEull, 0xF78F69A51539D749ull},
  {0xDBE6FECEBDEDD5BEull, 0xB573440E5A884D1Cull},
  {0x89705F4136B4A597ull, 0x31680A88F8953031ull},
  {0xABCC77118461CEFCull, 0xFDC20D2B36BA7C3Eull},
  {0xD6BF94D5E57A42BCull, 0x3D32907604691B4Dull},
  {0x8637BD05AF6C69B5ull, 0xA63F9A49C2C1B110ull},
  {0xA7C5AC471B478423ull, 0x0FCF80DC33721D54ull},
  {0xD1B71758E219652Bull, 0xD3C36113404EA4A9ull},
  {0x83126E978D4FDF3Bull, 0x645A1CAC083126EAull},
  {0xA3D70A3D70A3D70Aull, 0x3D70A3D70A3D70A4ull},
  {0xCCCCCCCCCCCCCCCCull, 0xCCCCCCCCCCCCCCCDull},
  {0x8000000000000000ull, 0x0000000000000000ull},
  {0xA000000000000000ull, 0x0000000000000000ull},
  {0xC800000000000000ull, 0x0000000000000000ull},
  {0xFA00000000000000ull, 0x0000000000000000ull},
  {0x9C40000000000000ull, 0x0000000000000000ull},
  {0xC350000000000000ull, 0x0000000000000000ull},
  {0xF424000000000000ull, 0x0000000000000000ull},
  {0x9896800000000000ull, 0x0000000000000000ull},
  {0xBEBC200000000000ull, 0x0000000000000000ull},
  {0xEE6B280000000000ull, 0x0000000000000000ull},
  {0x9502F90000000000ull, 0x0000000000000000ull},
  {0xBA43B74000000000ull, 0x0000000000000000ull},
  {0xE8D4A51000000000ull, 0x0000000000000000ull},
  {0x9184E72A00000000ull, 0x0000000000000000ull},
  {0xB5E620F480000000ull, 0x0000000000000000ull},
  {0xE35FA931A0000000ull, 0x0000000000000000ull},
  {0x8E1BC9BF04000000ull, 0x0000000000000000ull},
  {0xB1A2BC2EC5000000ull, 0x0000000000000000ull},
  {0xDE0B6B3A76400000ull, 0x0000000000000000ull},
  {0x8AC7230489E80000ull, 0x0000000000000000ull},
  {0xAD78EBC5AC620000ull, 0x0000000000000000ull},
  {0xD8D726B7177A8000ull, 0x0000000000000000ull},
  {0x878678326EAC9000ull, 0x0000000000000000ull},
  {0xA968163F0A57B400ull, 0x0000000000000000ull},
  {0xD3C21BCECCEDA100ull, 0x0000000000000000ull},
  {0x84595161401484A0ull, 0x0000000000000000ull},
  {0xA56FA5B99019A5C8ull, 0x0000000000000000ull},
  {0xCECB8F27F4200F3Aull, 0x0000000000000000ull},
  {0x813F3978F8940984ull, 0x4000000000000000ull},
  {0xA18F07D736B90BE5ull, 0x5000000000000000ull},
  {0xC9F2C9CD04674EDEull, 0xA400000000000000ull},
  {0xFC6F7C4045812296ull, 0x4D00000000000000ull},
  {0x9DC5ADA82B70B59Dull, 0xF020000000000000ull},
  {0xC5371912364CE305ull, 0x6C28000000000000ull},
  {0xF684DF56C3E01BC6ull, 0xC732000000000000ull},
  {0x9A130B963A6C115Cull, 0x3C7F400000000000ull},
  {0xC097CE7BC90715B3ull, 0x4B9F100000000000ull},
  {0xF0BDC21ABB48DB20ull, 0x1E86D40000000000ull},
  {0x96769950B50D88F4ull, 0x1314448000000000ull},
  {0xBC143FA4E250EB31ull, 0x17D955A000000000ull},
  {0xEB194F8E1AE525FDull, 0x5DCFAB0800000000ull},
  {0x92EFD1B8D0CF37BEull, 0x5AA1CAE500000000ull},
  {0xB7ABC627050305ADull, 0xF14A3D9E40000000ull},
  {0xE596B7B0C643C719ull, 0x6D9CCD05D0000000ull},
  {0x8F7E32CE7BEA5C6Full, 0xE4820023A2000000ull},
};

static const u64 TENS[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

// The value of the digits with which the eight bytes begin. Returns the number of these digits.
static inline int first_digits(const u8 *at, u64 *value) {
  u64 v;
  __builtin_memcpy(&v, at, 8);
  v ^= 0x3030303030303030ull;
  // The highest bit of each byte that is not a digit.
  u64 others = (((v & 0x7F7F7F7F7F7F7F7Full) + 0x7676767676767676ull) | v) & 0x8080808080808080ull;
  int count = others == 0 ? 8 : __builtin_ctzll(others) >> 3;
  if (count == 0) return 0;
  // Zeros in front of the digits, in place of the bytes behind them.
  v <<= 8 * (8 - count);
  v = v * 10 + (v >> 8);
  *value = (((v & 0x000000FF000000FFull) * 0x000F424000000064ull) + (((v >> 16) & 0x000000FF000000FFull) * 0x0000271000000001ull)) >> 32;
  return count;
}

static inline u64 product(u64 a, u64 b, u64 *low) {
  u64 a0 = (unsigned)a, a1 = a >> 32, b0 = (unsigned)b, b1 = b >> 32;
  u64 p00 = a0 * b0, p01 = a0 * b1, p10 = a1 * b0;
  u64 middle = (p00 >> 32) + (unsigned)p01 + (unsigned)p10;
  *low = (middle << 32) | (unsigned)p00;
  return a1 * b1 + (p01 >> 32) + (p10 >> 32) + (middle >> 32);
}

// The double nearest to digits * 10^exponent, by the algorithm of Eisel and Lemire. Returns 0 if the rounding is not certain.
static inline int nearest(u64 digits, int exponent, double *out) {
  if (exponent < FIRST || exponent > LAST) return 0;
  int zeros = __builtin_clzll(digits);
  digits <<= zeros;
  int binary = ((217706 * exponent) >> 16) + 64 + 1023 - zeros;
  const u64 *power = BITS[exponent - FIRST];
  u64 low, high = product(digits, power[0], &low);
  if ((high & 0x1FF) == 0x1FF && low + digits < digits) {
    u64 low2, high2 = product(digits, power[1], &low2);
    u64 merged = low + high2;
    if (merged < low) high++;
    if ((high & 0x1FF) == 0x1FF && merged + 1 == 0 && low2 + digits < digits) return 0;
    low = merged;
  }
  int top = (int)(high >> 63);
  u64 mantissa = high >> (top + 9);
  binary -= 1 ^ top;
  if (low == 0 && (high & 0x1FF) == 0 && (mantissa & 3) == 1) return 0;
  mantissa += mantissa & 1;
  mantissa >>= 1;
  if (mantissa >> 53) {
    mantissa >>= 1;
    binary++;
  }
  if (binary < 1 || binary > 2046) return 0;
  u64 bits = ((u64)binary << 52) | (mantissa & 0xFFFFFFFFFFFFFull);
  __builtin_memcpy(out, &bits, 8);
  return 1;
}

static inline int is_space(u8 c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
static inline int is_digit(u8 c) { return (u8)(c - '0') < 10; }

// Reads the number that begins at `p` into `out`. Returns the position behind the number. `code` becomes SLOW for a number that needs
// the caller, REFUSED for text that is not a number, and MORE if the number can continue behind `end`.
static inline const u8 *number(const u8 *p, const u8 *end, int last, double *out, int *code) {
  int negative = 0, digits = 0, exponent = 0;
  u64 value = 0, next;
  *code = DONE;
  if (*p == '-') { negative = 1; p++; }
  if (p >= end) goto cut;
  if (*p == '0') p++;
  else {
    const u8 *first = p;
    while (p < end && is_digit(*p)) { value = value * 10 + (*p - '0'); p++; }
    digits = (int)(p - first);
    if (digits == 0) goto refused;
  }
  if (p < end && *p == '.') {
    const u8 *point = ++p;
    if (digits == 0) while (p < end && *p == '0') p++;
    const u8 *first = p;
    while (p + 8 <= end && digits + (int)(p - first) <= 11) {
      int count = first_digits(p, &next);
      if (count == 0) break;
      value = value * TENS[count] + next;
      p += count;
      if (count < 8) break;
    }
    while (p < end && is_digit(*p)) { value = value * 10 + (*p - '0'); p++; }
    if (p == point) { if (p >= end) goto cut; goto refused; }
    digits += (int)(p - first);
    exponent = -(int)(p - point);
  }
  if (p < end && (*p | 32) == 'e') {
    int sign = 1, e = 0;
    p++;
    if (p < end && (*p == '-' || *p == '+')) { if (*p == '-') sign = -1; p++; }
    const u8 *first = p;
    while (p < end && is_digit(*p)) { if (e < 100000) e = e * 10 + (*p - '0'); p++; }
    if (p == first) { if (p >= end) goto cut; goto refused; }
    exponent += sign * e;
  }
  if (p >= end) goto cut;
  double y;
  if (digits > 19) *code = SLOW;
  else if (value == 0) y = 0;
  else if (value >> 53 == 0 && exponent >= -22 && exponent <= 22) {
    y = (double)value;
    y = exponent < 0 ? y / POWERS[-exponent] : y * POWERS[exponent];
  } else if (!nearest(value, exponent, &y)) *code = SLOW;
  if (*code == DONE) *out = negative ? -y : y;
  return p;
cut:
  // An array never ends with a number, so the text after the last chunk is cut.
  *code = last ? REFUSED : MORE;
  return p;
refused:
  *code = REFUSED;
  return p;
}

// Reads the first `length` bytes of `text`. `last`: no text follows.
static int scan_from(int at, int count, int length, int last) {
  const u8 *p = text + at, *end = text + length;
  for (;;) {
    while (p < end && is_space(*p)) p++;
    if (p >= end) break;
    if (state.expects == VALUE) {
      if (*p == '[') {
        if (state.depth == DEPTH || (state.levels && state.depth == state.levels)) return REFUSED;
        state.counts[state.depth++] = 0;
        p++;
        continue;
      }
      if (state.levels == 0) state.levels = state.depth;
      else if (state.depth != state.levels) return REFUSED;
      int code;
      const u8 *after = number(p, end, last, &numbers[count], &code);
      if (code == REFUSED) return REFUSED;
      if (code == MORE) break;
      state.expects = AFTER;
      if (code == SLOW) {
        result.from = (int)(p - text);
        result.to = result.at = (int)(after - text);
        result.numbers = count;
        return SLOW;
      }
      count++;
      p = after;
      // Nearly every number has a comma behind it. A number that ends with the text returned MORE.
      if (*p == ',') {
        state.counts[state.depth - 1]++;
        state.expects = VALUE;
        p++;
      }
      continue;
    }
    int depth = state.depth - 1;
    if (*p == ',') {
      state.counts[depth]++;
      state.expects = VALUE;
      p++;
      continue;
    }
    if (*p != ']') return REFUSED;
    p++;
    int items = state.counts[depth] + 1;
    if (state.dims[depth] == 0) state.dims[depth] = items;
    else if (state.dims[depth] != items) return REFUSED;
    state.depth = depth;
    if (depth == 0) {
      result.at = (int)(p - text);
      result.numbers = count;
      return DONE;
    }
  }
  result.at = (int)(p - text);
  result.numbers = count;
  return last ? REFUSED : MORE;
}

EXPORT(scan) int scan(int length, int last) { return scan_from(0, 0, length, last); }

// Continues behind a SLOW number, whose value the caller has computed.
EXPORT(resume) int resume(double value, int length, int last) {
  numbers[result.numbers] = value;
  return scan_from(result.at, result.numbers + 1, length, last);
}
