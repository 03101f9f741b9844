// A complete harness in C++17: box_iou, nms, roi_align and max_pool2d, tested by refdet verify.
//
//     g++ -std=c++17 -O2 -o refdet_harness refdet_harness.cpp
//     refdet verify --command ./refdet_harness
//
// From the top: JSON, tensor files, the deviations that can be switched on, the four algorithms, from questions to
// calls, the conversation. To test code of your own, replace the fourth, adapt the fifth and keep the others.
//
// With --wrong=KEY it goes wrong in a known way (see WRONG below), so that one can watch refdet name the mistake.
// The numbers are float32. It computes no gradients: they may be left out of an answer.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

// Thrown for what is not implemented; the text is the reason.
struct Skip : std::runtime_error { using std::runtime_error::runtime_error; };

// --- JSON: what the protocol and the headers of tensor files need ----------------------------------------------------

struct Json {
    double number = 0;               // true is 1, false and null are 0; integers are exact up to 2^53
    std::string text;                // in UTF-8
    std::vector<Json> items;         // of an array, or the values of an object
    std::vector<std::string> names;  // of an object, beside its values

    const Json& at(const std::string& name) const {
        const auto found = std::find(names.begin(), names.end(), name);
        if (found == names.end()) throw std::runtime_error("there is no \"" + name + "\"");
        return items[found - names.begin()];
    }
    long integer() const { return static_cast<long>(number); }
};

class JsonReader {
public:
    explicit JsonReader(const std::string& text) : text_(text) {}

    Json read() {
        Json value;
        const char first = peek();
        if (first == '{') return read_container('{', '}');
        if (first == '[') return read_container('[', ']');
        if (first == '"') value.text = read_string();
        else if (first == '-' || (first >= '0' && first <= '9')) value.number = read_number();
        else if (take("true")) value.number = 1;
        else if (!take("false") && !take("null")) fail("expected a value");
        return value;
    }

private:
    const std::string& text_;
    std::size_t at_ = 0;

    [[noreturn]] void fail(const std::string& what) const {
        throw std::runtime_error("JSON, character " + std::to_string(at_) + ": " + what);
    }
    char peek() {  // the next character that is not white space; 0 at the end
        while (at_ < text_.size() && std::strchr(" \t\r\n", text_[at_])) ++at_;
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    bool take(char wanted) { return peek() == wanted && ++at_; }
    bool take(const std::string& word) { return text_.compare(at_, word.size(), word) == 0 && (at_ += word.size()); }
    void expect(char wanted) { if (!take(wanted)) fail(std::string("expected ") + wanted); }

    Json read_container(char begin, char end) {
        Json value;
        expect(begin);
        if (take(end)) return value;
        do {
            if (begin == '{') value.names.push_back(read_string()), expect(':');
            value.items.push_back(read());
        } while (take(','));
        expect(end);
        return value;
    }
    double read_number() {
        char* end = nullptr;
        const double number = std::strtod(text_.c_str() + at_, &end);
        return at_ = end - text_.c_str(), number;
    }
    std::string read_string() {
        static const std::string letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
        std::string text;
        expect('"');
        while (at_ < text_.size() && text_[at_] != '"') {
            const char c = text_[at_++];
            if (c != '\\') text += c;
            else if (take("u")) append_utf8(text, read_code_point());
            else text += meanings.at(letters.find(text_[at_++]));
        }
        if (at_++ >= text_.size()) fail("a string without an end");
        return text;
    }
    unsigned read_code_point() {  // after \u; a code point above 0xFFFF takes two of them
        const unsigned high = read_hex4();
        if (high < 0xD800 || high > 0xDBFF || !take("\\u")) return high;
        return 0x10000 + ((high - 0xD800) << 10) + (read_hex4() - 0xDC00);
    }
    unsigned read_hex4() {
        const std::string digits = text_.substr(at_, 4);
        at_ += digits.size();
        return std::stoul(digits, nullptr, 16);
    }
    static void append_utf8(std::string& text, unsigned code) {
        const int n_more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;  // bytes after the first
        const unsigned first_bits[] = {0, 0xC0, 0xE0, 0xF0};
        text += static_cast<char>(first_bits[n_more] | code >> 6 * n_more);
        for (int i = n_more; i-- > 0;) text += static_cast<char>(0x80 | (code >> 6 * i & 63));
    }
};

std::string quoted(const std::string& text) {
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;  // a control character in a message is no loss
    }
    return quoted + '"';
}

// --- Tensor files: eight bytes of length, so much JSON, then the elements --------------------------------------------

struct Tensor {
    std::string dtype;  // "F32", "I64" or "BOOL"
    std::vector<long> shape;
    std::vector<double> values;  // row-major; every number of these types (integers up to 2^53) is also a double
    const double* row(long i) const { return values.data() + i * shape.at(1); }
};
using Tensors = std::map<std::string, Tensor>;

std::uint64_t little_endian(const char* bytes, int n_bytes) {
    std::uint64_t bits = 0;
    for (int i = n_bytes; i-- > 0;) bits = bits << 8 | static_cast<unsigned char>(bytes[i]);
    return bits;
}
std::string little_endian(std::uint64_t bits, int n_bytes) {
    std::string bytes;
    for (int i = 0; i < n_bytes; ++i) bytes += static_cast<char>(bits >> 8 * i & 255);
    return bytes;
}

template <class To, class From>
To same_bits(From from) {  // the number that has the bits of another
    To to;
    static_assert(sizeof to == sizeof from);
    std::memcpy(&to, &from, sizeof to);
    return to;
}

Tensor read_tensor(const std::string& path, const std::string& key) {
    std::ifstream stream(path, std::ios::binary);
    const std::string file{std::istreambuf_iterator<char>(stream), {}};
    if (!stream || file.size() < 8) throw std::runtime_error("cannot read " + path);
    const std::uint64_t header_size = little_endian(file.data(), 8);
    if (header_size > file.size() - 8) throw std::runtime_error(path + " is cut short");
    const std::string header_text = file.substr(8, header_size);
    const Json header = JsonReader(header_text).read();
    const Json& entry = header.at(key);

    Tensor tensor{entry.at("dtype").text, {}, {}};
    long n_elements = 1;
    for (const Json& size : entry.at("shape").items) n_elements *= tensor.shape.emplace_back(size.integer());
    const int n_bytes = tensor.dtype == "F32" ? 4 : tensor.dtype == "I64" ? 8 : tensor.dtype == "BOOL" ? 1 : 0;
    if (n_bytes == 0) throw Skip("this harness has no " + tensor.dtype);
    const std::size_t begin = 8 + header_size + entry.at("data_offsets").items.at(0).integer();
    if (begin + n_elements * n_bytes > file.size()) throw std::runtime_error(path + " is cut short");
    for (long i = 0; i < n_elements; ++i) {
        const std::uint64_t bits = little_endian(file.data() + begin + i * n_bytes, n_bytes);
        tensor.values.push_back(tensor.dtype == "F32" ? same_bits<float>(static_cast<std::uint32_t>(bits))
                                                      : static_cast<std::int64_t>(bits));
    }
    return tensor;
}

void write_tensors(const std::string& path, const Tensors& tensors) {
    std::string header, data;
    for (const auto& [name, tensor] : tensors) {
        const std::size_t begin = data.size();
        for (const double value : tensor.values) {
            const bool floating = tensor.dtype == "F32";
            data += floating ? little_endian(same_bits<std::uint32_t>(static_cast<float>(value)), 4)
                             : little_endian(std::llround(value), 8);
        }
        std::string shape;
        for (const long size : tensor.shape) shape += (shape.empty() ? "" : ",") + std::to_string(size);
        header += (header.empty() ? "{" : ",") + quoted(name) + ":{\"dtype\":" + quoted(tensor.dtype);
        header += ",\"shape\":[" + shape + "],\"data_offsets\":[" + std::to_string(begin) + "," +
                  std::to_string(data.size()) + "]}";
    }
    header += header.empty() ? "{}" : "}";
    std::ofstream stream(path, std::ios::binary);
    stream << little_endian(header.size(), 8) << header << data << std::flush;
    if (!stream) throw std::runtime_error("cannot write " + path);
}

// --- Deviations: what other implementations do, each under the key that refdet knows it by ---------------------------

const std::map<std::string, const char*> WRONG = {
    {"box.plus1=yes", "the width of a box is x2 - x1 + 1"},
    {"maxpool.emptywin=0", "a window without a pixel gives 0"},
    {"nms.cmp=ge", "suppresses where IoU >= threshold"},
    {"nms.tie=last", "argsort, reversed: of equal scores the last comes first, and NaN before all numbers"},
    {"roi.max=weighted", "takes the largest of the weighted pixels, not of the points"},
    {"roi.min1=always", "a region is at least one pixel of the map long, aligned or not"},
    {"roi.offset=0", "no shift by half a pixel"},
    {"roi.sampling=adaptive", "as many points as pixels, whatever sampling_ratio says"},
};
std::set<std::string> wrong;  // those that are switched on
bool is_wrong(const char* key) { return wrong.count(key) != 0; }

// --- The algorithms --------------------------------------------------------------------------------------------------
// What their parameters mean is said by `refdet explain box_iou`, and so on.

template <class Float>
Float larger(Float a, Float b) { return std::isnan(a) || a > b ? a : b; }  // NaN if one of them is
float smaller(float a, float b) { return -larger(-a, -b); }

float side(float low, float high, float offset) {
    const float length = high - low + offset;
    return length < 0 ? 0 : length;  // NaN stays NaN
}

// Intersection over union of two boxes (x1, y1, x2, y2), in float32; over the area of p where q is a crowd.
float iou(const double* p_box, const double* q_box, bool crowd, bool empty_is_nan, long offset_param) {
    float p[4], q[4];
    for (int i = 0; i < 4; ++i) p[i] = p_box[i], q[i] = q_box[i];
    const float offset = is_wrong("box.plus1=yes") ? 1 : offset_param;
    const float area_p = side(p[0], p[2], offset) * side(p[1], p[3], offset);
    const float area_q = side(q[0], q[2], offset) * side(q[1], q[3], offset);
    const float shared = side(larger(p[0], q[0]), smaller(p[2], q[2]), offset) *
                         side(larger(p[1], q[1]), smaller(p[3], q[3]), offset);
    const float whole = crowd ? area_p : area_p + area_q - shared;
    if (shared == 0 && whole == 0) return empty_is_nan ? std::nanf("") : 0;
    return shared / whole;
}

Tensor box_iou(const Tensor& boxes, const Tensor& others, const Tensor* crowd, bool empty_is_nan, long offset) {
    Tensor result{"F32", {boxes.shape[0], others.shape[0]}, {}};
    for (long i = 0; i < boxes.shape[0]; ++i)
        for (long j = 0; j < others.shape[0]; ++j)
            result.values.push_back(
                iou(boxes.row(i), others.row(j), crowd && crowd->values[j] != 0, empty_is_nan, offset));
    return result;
}

Tensor nms(const Tensor& boxes, const Tensor& scores, float threshold, long offset) {
    const double sign = is_wrong("nms.tie=last") ? -1 : 1;  // sorted in ascending order, and reversed
    const auto before = [&](long i, long j) {               // NaN comes after every number
        const double a = sign * scores.values[i], b = sign * scores.values[j];
        return a > b || (!std::isnan(a) && std::isnan(b));
    };
    std::vector<long> order(scores.values.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), before);
    if (is_wrong("nms.tie=last")) std::reverse(order.begin(), order.end());

    std::vector<double> kept;
    std::vector<bool> eliminated(order.size(), false);
    for (std::size_t a = 0; a < order.size(); ++a) {
        if (eliminated[a]) continue;
        kept.push_back(order[a]);
        for (std::size_t b = a + 1; b < order.size(); ++b) {
            const float overlap = iou(boxes.row(order[a]), boxes.row(order[b]), false, false, offset);
            if (overlap > threshold || (is_wrong("nms.cmp=ge") && overlap == threshold)) eliminated[b] = true;
        }
    }
    return {"I64", {static_cast<long>(kept.size())}, kept};
}

struct Sampling {
    long bins[2];  // vertical, horizontal
    double scale;
    long ratio;  // points of a bin along each axis; 0: about one per pixel
    bool aligned, zero_decay, largest;
};

// The two pixels between which a point of an axis lies, and their weights; a pixel of -1 is none, and is not read.
struct Taps {
    long pixel[2];
    double weight[2];
};

Taps taps_at(double point, long n_pixels, bool zero_decay) {
    if (n_pixels == 0 || !(point >= -1 && point <= n_pixels)) return {{-1, -1}, {0, 0}};  // too far out
    const double inside = zero_decay ? point : std::clamp(point, 0.0, n_pixels - 1.0);
    const long first = std::lround(std::floor(inside));
    Taps taps{{first, first + 1}, {1 - (inside - first), inside - first}};
    for (long& pixel : taps.pixel)
        if (pixel < 0 || pixel >= n_pixels) pixel = zero_decay ? -1 : n_pixels - 1;
    return taps;
}

// Where a region from `low` to `high` is sampled along an axis: for each bin, the taps of its points.
std::vector<std::vector<Taps>> axis_taps(double low, double high, long n_bins, long n_pixels, const Sampling& s) {
    const double half = s.aligned && !is_wrong("roi.offset=0") ? 0.5 : 0;
    const double start = low * s.scale - half;
    double length = high * s.scale - half - start;
    if (!s.aligned || is_wrong("roi.min1=always")) length = std::max(length, 1.0);
    const double bin = length / n_bins;
    const long ratio = is_wrong("roi.sampling=adaptive") ? 0 : s.ratio;
    const long n_points = ratio ? ratio : std::max(0l, static_cast<long>(std::ceil(bin)));
    std::vector<std::vector<Taps>> taps(n_bins);
    for (long p = 0; p < n_bins; ++p)
        for (long i = 0; i < n_points; ++i) {
            const double point = start + p * bin + (i + 0.5) * bin / n_points;
            taps[p].push_back(taps_at(point, n_pixels, s.zero_decay));
        }
    return taps;
}

// The mean, or the largest, of the features at the points of one bin; 0 without points.
double bin_feature(const double* plane, long width, const std::vector<Taps>& rows, const std::vector<Taps>& columns,
                   bool largest) {
    std::vector<double> features, parts;  // of points; of the pixels around them, weighted
    for (const Taps& row : rows)
        for (const Taps& column : columns) {
            double feature = 0;
            for (int k = 0; k < 4; ++k) {
                const long v = row.pixel[k / 2], h = column.pixel[k % 2];
                const double weight = row.weight[k / 2] * column.weight[k % 2];
                parts.push_back(v < 0 || h < 0 ? 0 : weight * plane[v * width + h]);
                feature += parts.back();
            }
            features.push_back(feature);
        }
    if (features.empty()) return 0;
    if (!largest) return std::accumulate(features.begin(), features.end(), 0.0) / features.size();
    const std::vector<double>& candidates = is_wrong("roi.max=weighted") ? parts : features;
    return std::accumulate(candidates.begin(), candidates.end(), -INFINITY, larger<double>);
}

Tensor roi_align(const Tensor& x, const Tensor& rois, const Sampling& s) {
    const long n_channels = x.shape[1], height = x.shape[2], width = x.shape[3];
    Tensor y{"F32", {rois.shape[0], n_channels, s.bins[0], s.bins[1]}, {}};
    for (long r = 0; r < rois.shape[0]; ++r) {
        const double* roi = rois.row(r);  // image, x1, y1, x2, y2
        const auto rows = axis_taps(roi[2], roi[4], s.bins[0], height, s);
        const auto columns = axis_taps(roi[1], roi[3], s.bins[1], width, s);
        for (long c = 0; c < n_channels; ++c) {
            const double* plane = x.values.data() + (static_cast<long>(roi[0]) * n_channels + c) * height * width;
            for (const auto& row : rows)
                for (const auto& column : columns)
                    y.values.push_back(bin_feature(plane, width, row, column, s.largest));
        }
    }
    return y;
}

struct Windows { long kernel, stride, before, after, dilation; };  // along one axis

long number_of_windows(long size, const Windows& w, bool ceil_mode, bool drops_empty) {
    const long room = size + w.before + w.after - w.dilation * (w.kernel - 1) - 1;
    long n = (room + (ceil_mode ? w.stride - 1 : 0)) / w.stride + 1;
    if (ceil_mode && drops_empty && (n - 1) * w.stride >= size + w.before) --n;  // it would start beyond x
    return n;
}

Tensors max_pool2d(const Tensor& x, const Windows& vertical, const Windows& horizontal, bool ceil_mode, bool caffe) {
    const long height = x.shape[2], width = x.shape[3];
    const bool pads = vertical.before || vertical.after || horizontal.before || horizontal.after;
    const long n_rows = number_of_windows(height, vertical, ceil_mode, !caffe || pads);
    const long n_columns = number_of_windows(width, horizontal, ceil_mode, !caffe || pads);
    Tensor y{"F32", {x.shape[0], x.shape[1], n_rows, n_columns}, {}}, switches = y;
    switches.dtype = "I64";
    for (long plane = 0; plane < x.shape[0] * x.shape[1]; ++plane)
        for (long i = 0; i < n_rows; ++i)
            for (long j = 0; j < n_columns; ++j) {
                double best = is_wrong("maxpool.emptywin=0") ? 0 : -INFINITY;
                long winner = -1;
                for (long a = 0; a < vertical.kernel; ++a)
                    for (long b = 0; b < horizontal.kernel; ++b) {
                        const long h = i * vertical.stride + a * vertical.dilation - vertical.before;
                        const long w = j * horizontal.stride + b * horizontal.dilation - horizontal.before;
                        if (h < 0 || h >= height || w < 0 || w >= width) continue;  // padding never wins
                        const double value = x.values[(plane * height + h) * width + w];
                        const bool wins = value > best || (std::isnan(value) && !std::isnan(best));  // else the first
                        if (winner < 0 || wins) best = value, winner = h * width + w;
                    }
                y.values.push_back(best);
                switches.values.push_back(winner);
            }
    return {{"y", y}, {"switches", switches}};
}

// --- From questions to calls: the part that you write for your own code ----------------------------------------------

struct Question {
    const Json& params;
    Tensors tensors;  // an optional argument that is absent is not among them

    bool flag(const char* name) const { return params.at(name).number != 0; }
    bool is(const char* name, const char* value) const { return params.at(name).text == value; }
    long integer(const char* name) const { return params.at(name).integer(); }
    long of_pair(const char* name, std::size_t i) const { return params.at(name).items.at(i).integer(); }
};

Tensors ask_box_iou(const Question& q) {
    const auto crowd = q.tensors.find("crowd");
    const Tensor* flags = crowd == q.tensors.end() ? nullptr : &crowd->second;
    const Tensor &boxes = q.tensors.at("boxes"), &others = q.tensors.at("others");
    return {{"iou", box_iou(boxes, others, flags, q.is("empty", "nan"), q.integer("offset"))}};
}

Tensors ask_nms(const Question& q) {
    const Tensor &boxes = q.tensors.at("boxes"), &scores = q.tensors.at("scores");
    return {{"kept", nms(boxes, scores, q.params.at("threshold").number, q.integer("offset"))}};
}

Tensors ask_roi_align(const Question& q) {
    const Sampling sampling{{q.of_pair("output_size", 0), q.of_pair("output_size", 1)},
                            q.params.at("scale").number,
                            q.integer("sampling_ratio"),
                            q.flag("aligned"),
                            q.is("border", "zero_decay"),
                            q.is("reduction", "max")};
    return {{"y", roi_align(q.tensors.at("x"), q.tensors.at("rois"), sampling)}};
}

Tensors ask_max_pool2d(const Question& q) {
    Windows axes[2];
    for (std::size_t i = 0; i < 2; ++i) {
        const std::vector<Json>& padding = q.params.at("padding").items.at(i).items;  // [before, after]
        axes[i] = {q.of_pair("kernel_size", i), q.of_pair("stride", i), padding.at(0).integer(),
                   padding.at(1).integer(), q.of_pair("dilation", i)};
    }
    return max_pool2d(q.tensors.at("x"), axes[0], axes[1], q.flag("ceil_mode"), q.is("convention", "caffe"));
}

const std::map<std::string, std::function<Tensors(const Question&)>> ALGORITHMS = {
    {"box_iou", ask_box_iou}, {"max_pool2d", ask_max_pool2d}, {"nms", ask_nms}, {"roi_align", ask_roi_align}};

// --- The conversation: one line in, one line out ---------------------------------------------------------------------

std::string hello() {
    std::string names;
    for (const auto& entry : ALGORITHMS) names += (names.empty() ? "" : ",") + quoted(entry.first);
    return R"({"type":"hello","protocol":1,"name":"refdet_harness.cpp","version":"1.0","algorithms":[)" + names + "]}";
}

std::string answer(const Json& run) {
    const std::string seq = ",\"seq\":" + std::to_string(run.at("seq").integer());
    try {
        const std::string& algorithm = run.at("algorithm").text;
        const auto ask = ALGORITHMS.find(algorithm);
        if (ask == ALGORITHMS.end()) throw Skip("this harness does not implement " + algorithm);
        Question question{run.at("params"), {}};
        const Json& places = run.at("tensors");
        for (std::size_t i = 0; i < places.names.size(); ++i) {
            const Json& place = places.items[i];
            question.tensors[places.names[i]] = read_tensor(place.at("file").text, place.at("key").text);
        }
        write_tensors(run.at("answer").text, ask->second(question));
        return "{\"type\":\"result\"" + seq + "}";
    } catch (const Skip& skip) {
        return "{\"type\":\"skip\"" + seq + ",\"reason\":" + quoted(skip.what()) + "}";
    } catch (const std::exception& error) {
        return "{\"type\":\"error\"" + seq + ",\"message\":" + quoted(error.what()) + "}";
    }
}

int usage() {
    std::cerr << "usage: refdet_harness [--wrong=KEY]...\n\nIt speaks the protocol of refdet verify --command. Keys:\n";
    for (const auto& [key, meaning] : WRONG) std::cerr << "  " << key << "  " << meaning << '\n';
    return 2;
}

int main(int n_arguments, char** arguments) {
    for (int i = 1; i < n_arguments; ++i) {
        const std::string argument = arguments[i];
        if (argument.rfind("--wrong=", 0) != 0 || !WRONG.count(argument.substr(8))) return usage();
        wrong.insert(argument.substr(8));
    }
    try {
        for (std::string line; std::getline(std::cin, line);) {
            const Json message = JsonReader(line).read();
            const std::string& type = message.at("type").text;
            if (type == "bye") return 0;
            if (type != "hello" && type != "run") throw std::runtime_error("a message of unknown type: " + type);
            if (type == "hello" && message.at("protocol").integer() != 1) throw std::runtime_error("protocol 1 only");
            std::cout << (type == "hello" ? hello() : answer(message)) << std::endl;  // endl: sent at once
        }
    } catch (const std::exception& error) {
        std::cerr << "refdet_harness: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
