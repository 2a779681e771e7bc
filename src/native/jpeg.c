// JPEG files, decoded by libjpeg: its errors are returned, and on x86-64 what takes its time is done by vector instructions.
// libjpeg-turbo has such code in assembly, which needs an assembler of its own; this computes the same, bit by bit.

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JPEG_INTERNALS
#include <jinclude.h>
#include <jpeglib.h>

#include <jdct.h>
#include <jdsample.h>

#ifdef __SSE2__
#include <emmintrin.h>

// ---- The inverse DCT of jidctint.c, eight columns and then eight rows at a time. Sums of 16 bits wrap and results saturate
// as in libjpeg-turbo's vector code. ----

// 32-bit numbers: of lanes 0 to 3 and of lanes 4 to 7.
typedef struct {
  __m128i low, high;
} wide;

static inline wide add(wide a, wide b) {
  return (wide){_mm_add_epi32(a.low, b.low), _mm_add_epi32(a.high, b.high)};
}

static inline wide subtract(wide a, wide b) {
  return (wide){_mm_sub_epi32(a.low, b.low), _mm_sub_epi32(a.high, b.high)};
}

// a * factor_a + b * factor_b
static inline wide rotated(__m128i a, __m128i b, short factor_a, short factor_b) {
  const __m128i factors = _mm_set1_epi32((int)((unsigned)(unsigned short)factor_b << 16 | (unsigned short)factor_a));
  return (wide){_mm_madd_epi16(_mm_unpacklo_epi16(a, b), factors), _mm_madd_epi16(_mm_unpackhi_epi16(a, b), factors)};
}

// a * 2^13
static inline wide scaled(__m128i a) {
  const __m128i zero = _mm_setzero_si128();
  return (wide){_mm_srai_epi32(_mm_unpacklo_epi16(zero, a), 3), _mm_srai_epi32(_mm_unpackhi_epi16(zero, a), 3)};
}

// a / 2^shift, in 16 bits
static inline __m128i narrow(wide a, int shift) {
  return _mm_packs_epi32(_mm_srai_epi32(a.low, shift), _mm_srai_epi32(a.high, shift));
}

// Eight transforms of eight numbers, of which number i of transform j is lane j of v[i]. The factors are sums of
// jidctint.c's, in 13 bits of fraction.
static inline void transform(__m128i v[8], int shift) {
  const __m128i half = _mm_set1_epi32(1 << (shift - 1));
  const wide high = rotated(v[2], v[6], 4433 + 6270, 4433), low = rotated(v[2], v[6], 4433, 4433 - 15137);
  const wide sum = add(scaled(_mm_add_epi16(v[0], v[4])), (wide){half, half});
  const wide difference = add(scaled(_mm_sub_epi16(v[0], v[4])), (wide){half, half});
  const wide even[4] = {add(sum, high), add(difference, low), subtract(difference, low), subtract(sum, high)};
  const __m128i z3 = _mm_add_epi16(v[7], v[3]), z4 = _mm_add_epi16(v[5], v[1]);
  const wide odd3 = rotated(z3, z4, 9633 - 16069, 9633), odd4 = rotated(z3, z4, 9633, 9633 - 3196);
  const wide odd[4] = {add(rotated(v[1], v[7], 12299 - 7373, -7373), odd4), add(rotated(v[3], v[5], 25172 - 20995, -20995), odd3),
                       add(rotated(v[5], v[3], 16819 - 20995, -20995), odd4), add(rotated(v[7], v[1], 2446 - 7373, -7373), odd3)};
  for (int i = 0; i < 4; i++) {
    v[i] = narrow(add(even[i], odd[i]), shift);
    v[7 - i] = narrow(subtract(even[i], odd[i]), shift);
  }
}

static inline void transpose(__m128i v[8]) {
  __m128i a[8], b[8];
  for (int i = 0; i < 4; i++) {
    a[2 * i] = _mm_unpacklo_epi16(v[i], v[i + 4]);
    a[2 * i + 1] = _mm_unpackhi_epi16(v[i], v[i + 4]);
  }
  for (int i = 0; i < 4; i++) {
    b[2 * i] = _mm_unpacklo_epi16(a[i], a[i + 4]);
    b[2 * i + 1] = _mm_unpackhi_epi16(a[i], a[i + 4]);
  }
  for (int i = 0; i < 4; i++) {
    v[2 * i] = _mm_unpacklo_epi16(b[i], b[i + 4]);
    v[2 * i + 1] = _mm_unpackhi_epi16(b[i], b[i + 4]);
  }
}

// The coefficients of a block, without quantisation: row i in v[i].
static inline void dequantised(const jpeg_component_info *component, JCOEFPTR block, __m128i v[8]) {
  const MULTIPLIER *table = component->dct_table;
  for (int i = 0; i < 8; i++) {
    const __m128i coefficients = _mm_loadu_si128((const __m128i *)(block + 8 * i));
    short factors[8];
    for (int j = 0; j < 8; j++)
      factors[j] = (short)table[8 * i + j];
    v[i] = _mm_mullo_epi16(coefficients, _mm_loadu_si128((const __m128i *)factors));
  }
}

static void inverse_dct(j_decompress_ptr decompress, jpeg_component_info *component, JCOEFPTR block, JSAMPARRAY rows, JDIMENSION column) {
  (void)decompress;
  __m128i v[8];
  dequantised(component, block, v);
  transform(v, 13 - 2);
  transpose(v);
  transform(v, 13 + 2 + 3);
  transpose(v);
  const __m128i middle = _mm_set1_epi8((char)128);
  for (int i = 0; i < 8; i += 2) {
    const __m128i pixels = _mm_add_epi8(_mm_packs_epi16(v[i], v[i + 1]), middle);
    _mm_storel_epi64((__m128i *)(rows[i] + column), pixels);
    _mm_storel_epi64((__m128i *)(rows[i + 1] + column), _mm_srli_si128(pixels, 8));
  }
}

// As `transform`, to four numbers in place of eight, in v[0] to v[3]: jidctred.c's. v[4] does not count.
static inline void transform_to_four(__m128i v[8], int shift) {
  const __m128i half = _mm_set1_epi32(1 << (shift - 1));
  const wide first = scaled(v[0]), middle = add(add(first, first), (wide){half, half});
  const wide even = rotated(v[2], v[6], 15137, -6270);
  const wide outer = add(rotated(v[7], v[5], -4176, -4926), rotated(v[3], v[1], 7373, 20995));
  const wide inner = add(rotated(v[7], v[5], -1730, 11893), rotated(v[3], v[1], -17799, 8697));
  const wide sum = add(middle, even), difference = subtract(middle, even);
  v[0] = narrow(add(sum, outer), shift);
  v[1] = narrow(add(difference, inner), shift);
  v[2] = narrow(subtract(difference, inner), shift);
  v[3] = narrow(subtract(sum, outer), shift);
}

// A block in half its size.
static void inverse_dct_to_four(j_decompress_ptr decompress, jpeg_component_info *component, JCOEFPTR block, JSAMPARRAY rows,
                                JDIMENSION column) {
  (void)decompress;
  __m128i v[8];
  dequantised(component, block, v);
  transform_to_four(v, 13 - 2 + 1);
  v[4] = v[5] = v[6] = v[7] = _mm_setzero_si128();
  transpose(v);
  transform_to_four(v, 13 + 2 + 3 + 1);
  v[4] = v[5] = v[6] = v[7] = _mm_setzero_si128();
  transpose(v);
  const __m128i middle = _mm_set1_epi8((char)128);
  for (int i = 0; i < 4; i++) {
    const int pixels = _mm_cvtsi128_si32(_mm_add_epi8(_mm_packs_epi16(v[i], v[i]), middle));
    memcpy(rows[i] + column, &pixels, 4);
  }
}

// ---- Colours in full size: the triangle filter of jdsample.c. ----

// Eight bytes as 16-bit numbers.
static inline __m128i eight(const unsigned char *in) {
  return _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)in), _mm_setzero_si128());
}

// Stores sixteen bytes, of two vectors of eight in turns.
static inline void store_in_turns(unsigned char *out, __m128i first, __m128i second) {
  const __m128i zero = _mm_setzero_si128();
  _mm_storeu_si128((__m128i *)out, _mm_unpacklo_epi8(_mm_packus_epi16(first, zero), _mm_packus_epi16(second, zero)));
}

static void double_row(const unsigned char *in, unsigned char *out, unsigned width) {
  unsigned i = 1;
  out[0] = in[0];
  out[1] = (in[0] * 3 + in[1] + 2) >> 2;
  for (; i + 9 <= width; i += 8) {
    const __m128i here = eight(in + i), three = _mm_add_epi16(here, _mm_add_epi16(here, here));
    const __m128i first = _mm_add_epi16(_mm_add_epi16(three, eight(in + i - 1)), _mm_set1_epi16(1));
    const __m128i second = _mm_add_epi16(_mm_add_epi16(three, eight(in + i + 1)), _mm_set1_epi16(2));
    store_in_turns(out + 2 * i, _mm_srli_epi16(first, 2), _mm_srli_epi16(second, 2));
  }
  for (; i < width - 1; i++) {
    out[2 * i] = (in[i] * 3 + in[i - 1] + 1) >> 2;
    out[2 * i + 1] = (in[i] * 3 + in[i + 1] + 2) >> 2;
  }
  out[2 * i] = (in[i] * 3 + in[i - 1] + 1) >> 2;
  out[2 * i + 1] = in[i];
}

static inline __m128i eight_sums(const short *sums) { return _mm_loadu_si128((const __m128i *)sums); }

// A row between two, doubled. `sums` has room for `width` numbers.
static void double_between(const unsigned char *near, const unsigned char *far, short *sums, unsigned char *out, unsigned width) {
  unsigned i = 0;
  for (; i + 8 <= width; i += 8) {
    const __m128i here = eight(near + i), three = _mm_add_epi16(here, _mm_add_epi16(here, here));
    _mm_storeu_si128((__m128i *)(sums + i), _mm_add_epi16(three, eight(far + i)));
  }
  for (; i < width; i++)
    sums[i] = near[i] * 3 + far[i];
  out[0] = (sums[0] * 4 + 8) >> 4;
  out[1] = (sums[0] * 3 + sums[1] + 7) >> 4;
  for (i = 1; i + 9 <= width; i += 8) {
    const __m128i here = eight_sums(sums + i), three = _mm_add_epi16(here, _mm_add_epi16(here, here));
    const __m128i first = _mm_add_epi16(_mm_add_epi16(three, eight_sums(sums + i - 1)), _mm_set1_epi16(8));
    const __m128i second = _mm_add_epi16(_mm_add_epi16(three, eight_sums(sums + i + 1)), _mm_set1_epi16(7));
    store_in_turns(out + 2 * i, _mm_srli_epi16(first, 4), _mm_srli_epi16(second, 4));
  }
  for (; i < width - 1; i++) {
    out[2 * i] = (sums[i] * 3 + sums[i - 1] + 8) >> 4;
    out[2 * i + 1] = (sums[i] * 3 + sums[i + 1] + 7) >> 4;
  }
  out[2 * i] = (sums[i] * 3 + sums[i - 1] + 8) >> 4;
  out[2 * i + 1] = (sums[i] * 4 + 7) >> 4;
}

static void double_across(j_decompress_ptr decompress, jpeg_component_info *component, JSAMPARRAY in, JSAMPARRAY *out) {
  for (int row = 0; row < decompress->max_v_samp_factor; row++)
    double_row(in[row], (*out)[row], component->downsampled_width);
}

static void double_both(j_decompress_ptr decompress, jpeg_component_info *component, JSAMPARRAY in, JSAMPARRAY *out) {
  for (int row = 0; row < decompress->max_v_samp_factor; row++) {
    JSAMPARRAY near = in + row / 2; // libjpeg keeps the rows above and below
    double_between(near[0], near[row % 2 ? 1 : -1], decompress->client_data, (*out)[row], component->downsampled_width);
  }
}

// ---- YCbCr to RGB as in jdcolor.c: factors of 16 bits of fraction, of which a whole part is taken off to fit. ----

// (a * factor_a + b * factor_b + half) / 2^16
static inline __m128i product(__m128i a, __m128i b, short factor_a, short factor_b) {
  const __m128i half = _mm_set1_epi32(1 << 15);
  return narrow(add(rotated(a, b, factor_a, factor_b), (wide){half, half}), 16);
}

// Eight pixels to `out`, four bytes each, of which the last is 0.
static inline void colour_eight(const unsigned char *y, const unsigned char *cb, const unsigned char *cr, unsigned *out) {
  const __m128i zero = _mm_setzero_si128(), middle = _mm_set1_epi16(128);
  const __m128i luma = eight(y), b = _mm_sub_epi16(eight(cb), middle), r = _mm_sub_epi16(eight(cr), middle);
  const __m128i red = _mm_add_epi16(_mm_add_epi16(luma, r), product(r, zero, 91881 - 65536, 0));
  const __m128i green = _mm_add_epi16(_mm_sub_epi16(luma, r), product(b, r, -22554, 65536 - 46802));
  const __m128i blue = _mm_add_epi16(_mm_add_epi16(luma, _mm_add_epi16(b, b)), product(b, zero, 116130 - 131072, 0));
  const __m128i red_green = _mm_unpacklo_epi8(_mm_packus_epi16(red, zero), _mm_packus_epi16(green, zero));
  const __m128i blue_zero = _mm_unpacklo_epi8(_mm_packus_epi16(blue, zero), zero);
  _mm_storeu_si128((__m128i *)out, _mm_unpacklo_epi16(red_green, blue_zero));
  _mm_storeu_si128((__m128i *)(out + 4), _mm_unpackhi_epi16(red_green, blue_zero));
}

static void colour_row(const unsigned char *y, const unsigned char *cb, const unsigned char *cr, unsigned char *out, unsigned width) {
  unsigned pixels[8], i = 0;
  for (; i + 9 <= width; i += 8) {
    colour_eight(y + i, cb + i, cr + i, pixels);
    // each pixel's fourth byte is the next one's first, and behind the eighth there is a ninth
    for (int j = 0; j < 8; j++)
      memcpy(out + 3 * (i + j), pixels + j, 4);
  }
  while (i < width) {
    unsigned char rest[3][8] = {{0}};
    const unsigned count = width - i < 8 ? width - i : 8;
    memcpy(rest[0], y + i, count), memcpy(rest[1], cb + i, count), memcpy(rest[2], cr + i, count);
    colour_eight(rest[0], rest[1], rest[2], pixels);
    for (unsigned j = 0; j < count; j++)
      memcpy(out + 3 * (i + j), pixels + j, 3);
    i += count;
  }
}

static void rgb_of_ycc(j_decompress_ptr decompress, JSAMPIMAGE in, JDIMENSION row, JSAMPARRAY out, int count) {
  for (int i = 0; i < count; i++, row++)
    colour_row(in[0][row], in[1][row], in[2][row], out[i], decompress->output_width);
}

// Puts the functions above in the place of libjpeg's, where it would do just that.
static void use_vectors(j_decompress_ptr decompress) {
  my_upsample_ptr upsample = (my_upsample_ptr)decompress->upsample;
  decompress->client_data =
      decompress->mem->alloc_small((j_common_ptr)decompress, JPOOL_IMAGE, decompress->output_width * sizeof(short));
  const int size = decompress->min_DCT_scaled_size; // of a block, and of some components' twice or four times that
  for (int i = 0; i < decompress->num_components; i++) {
    const jpeg_component_info *component = decompress->comp_info + i;
    if (component->DCT_scaled_size == 8)
      decompress->idct->inverse_DCT[i] = inverse_dct;
    else if (component->DCT_scaled_size == 4)
      decompress->idct->inverse_DCT[i] = inverse_dct_to_four;
    const int across = component->h_samp_factor * component->DCT_scaled_size, down = component->v_samp_factor * component->DCT_scaled_size;
    // libjpeg repeats pixels of the narrowest, and where a block becomes one
    if (!component->component_needed || size == 1 || across * 2 != decompress->max_h_samp_factor * size || component->downsampled_width <= 2)
      continue;
    if (down == decompress->max_v_samp_factor * size)
      upsample->methods[i] = double_across;
    else if (down * 2 == decompress->max_v_samp_factor * size)
      upsample->methods[i] = double_both;
  }
  if (decompress->jpeg_color_space == JCS_YCbCr && decompress->out_color_space == JCS_RGB)
    decompress->cconvert->color_convert = rgb_of_ycc;
}
#else
static void use_vectors(j_decompress_ptr decompress) { (void)decompress; }
#endif

// ---- The decoder. ----

struct failure {
  struct jpeg_error_mgr manager;
  jmp_buf back;
  char *message;      // JMSG_LENGTH_MAX bytes
  int has_all_pixels; // what follows may be missing
};

static void fail(j_common_ptr common) {
  struct failure *failure = (struct failure *)common->err;
  common->err->format_message(common, failure->message);
  longjmp(failure->back, 1);
}

static void fail_with(j_common_ptr common, const char *message) {
  struct failure *failure = (struct failure *)common->err;
  snprintf(failure->message, JMSG_LENGTH_MAX, "%s", message);
  longjmp(failure->back, 1);
}

// A level below 0 is a warning; what lies above is talk.
static void count_warning(j_common_ptr common, int level) {
  if (level < 0)
    common->err->num_warnings++;
}

static void say_nothing(j_common_ptr common) { (void)common; }
static void do_nothing(j_decompress_ptr decompress) { (void)decompress; }

static boolean fail_at_end(j_decompress_ptr decompress) {
  struct failure *failure = (struct failure *)decompress->err;
  // as in Pillow, the end may be missing where nothing else was wrong
  if (failure->has_all_pixels && failure->manager.num_warnings == 0)
    longjmp(failure->back, 1); // without a message
  fail_with((j_common_ptr)decompress, "it is cut short");
  return FALSE;
}

static void skip(j_decompress_ptr decompress, long count) {
  if (count <= 0)
    return;
  if ((size_t)count > decompress->src->bytes_in_buffer)
    fail_at_end(decompress);
  decompress->src->next_input_byte += count;
  decompress->src->bytes_in_buffer -= count;
}

struct limit {
  struct jpeg_progress_mgr manager;
  int most_scans;
};

static void check_scans(j_common_ptr common) {
  if (((j_decompress_ptr)common)->input_scan_number > ((struct limit *)common->progress)->most_scans)
    fail_with(common, "it has too many scans");
}

// Decodes the JPEG `data`, in so many `eighths` of its size, to `pixels`, [height, width, channels]: grey for 1 channel, RGB for 3, and
// for 4 CMYK as the file has it. 0 if that worked, else there is a `message`, for which there must be 200 bytes.
int convnet_decode_jpeg(const unsigned char *data, size_t length, unsigned width, unsigned height, int channels, int eighths,
                        int most_scans, unsigned char *pixels, char *message) {
  struct jpeg_decompress_struct decompress;
  struct failure failure;
  struct limit limit;
  struct jpeg_source_mgr source;
  memset(&decompress, 0, sizeof decompress);
  memset(&limit, 0, sizeof limit);
  decompress.err = jpeg_std_error(&failure.manager);
  failure.manager.error_exit = fail;
  failure.manager.emit_message = count_warning;
  failure.manager.output_message = say_nothing;
  failure.message = message;
  failure.has_all_pixels = 0;
  message[0] = 0;
  if (setjmp(failure.back)) {
    jpeg_destroy_decompress(&decompress);
    return message[0] != 0;
  }
  jpeg_create_decompress(&decompress);
  source = (struct jpeg_source_mgr){.next_input_byte = data,
                                    .bytes_in_buffer = length,
                                    .init_source = do_nothing,
                                    .fill_input_buffer = fail_at_end,
                                    .skip_input_data = skip,
                                    .resync_to_restart = jpeg_resync_to_restart,
                                    .term_source = do_nothing};
  decompress.src = &source;
  limit.manager.progress_monitor = check_scans;
  limit.most_scans = most_scans;
  decompress.progress = &limit.manager;
  jpeg_read_header(&decompress, TRUE);
  decompress.out_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  decompress.scale_num = eighths;
  decompress.scale_denom = 8;
  jpeg_start_decompress(&decompress);
  if (decompress.output_width != width || decompress.output_height != height || decompress.output_components != channels)
    fail_with((j_common_ptr)&decompress, "its headers contradict each other");
  for (int i = 0; i < decompress.num_components; i++)
    if (!decompress.comp_info[i].quant_table)
      fail_with((j_common_ptr)&decompress, "one of its components is in no scan");
  use_vectors(&decompress);
  while (decompress.output_scanline < height) {
    JSAMPROW rows[8];
    for (unsigned i = 0; i < 8; i++) {
      const unsigned row = decompress.output_scanline + i;
      rows[i] = pixels + (size_t)(row < height ? row : height - 1) * width * channels;
    }
    jpeg_read_scanlines(&decompress, rows, 8);
  }
  failure.has_all_pixels = 1;
  // it stops where the file goes on after its only scan
  if (!jpeg_finish_decompress(&decompress) && failure.manager.num_warnings > 0)
    fail_with((j_common_ptr)&decompress, "it is damaged");
  jpeg_destroy_decompress(&decompress);
  return 0;
}
