/* Inlined calls through templates, lambdas and virtual functions. */
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace shop {
struct Item { std::string name; int price; };

template <typename T> class Shelf {
	std::vector<T> items_;
public:
	void add(T item) { items_.push_back(std::move(item)); }
	template <typename F> auto map(F f) const {
		std::vector<decltype(f(items_[0]))> result;
		for (const auto &item : items_) result.push_back(f(item));
		return result;
	}
	const T &at(size_t i) const { if (i >= items_.size()) throw std::out_of_range("shelf"); return items_[i]; }
};

class Base { public: virtual ~Base() = default; virtual int price(const std::string &) const = 0; };
class Shop : public Base {
	std::map<std::string, Shelf<Item>> shelves_;
public:
	void put(const std::string &where, Item item) { shelves_[where].add(std::move(item)); }
	int price(const std::string &where) const override {
		int sum = 0;
		auto it = shelves_.find(where);
		if (it == shelves_.end()) return -1;
		for (int p : it->second.map([](const Item &i) { return i.price; })) sum += p;
		return sum;
	}
};
} // namespace shop

static std::function<std::string(int)> printer(const std::string &prefix)
{
	return [prefix](int n) { return prefix + std::to_string(n); };
}

int main(int argc, char **argv)
{
	auto s = std::make_unique<shop::Shop>();
	for (int i = 0; i < argc + 3; i++)
		s->put("shelf" + std::to_string(i % 2), {argv[0], i});
	shop::Base &b = *s;
	try {
		shop::Shelf<int> none;
		std::cout << none.at((size_t)argc) << '\n';
	} catch (const std::exception &e) {
		std::cout << printer(e.what())(b.price("shelf1")) << '\n';
	}
	return 0;
}
