// A service in C++: each request leaves two sessions that hold each other, and one in a cache.  A line on
// its input is 50 requests.
#include <iostream>
#include <memory>
#include <string>
#include <vector>
namespace app {
struct Session {
	virtual ~Session() = default;
	std::shared_ptr<Session> peer;
	std::string name = "a session of some forty characters, and more";
};
}
static std::vector<std::shared_ptr<app::Session>> cache;
__attribute__((noinline)) static void serve()
{
	auto a = std::make_shared<app::Session>(), b = std::make_shared<app::Session>();
	a->peer = b;
	b->peer = a; /* the leak */
	cache.push_back(std::make_shared<app::Session>());
}
int main()
{
	std::string line;
	for (int i = 0; i < 50; i++)
		serve();
	std::cout << "READY" << std::endl;
	while (std::getline(std::cin, line)) {
		for (int i = 0; i < 50; i++)
			serve();
		std::cout << "OK" << std::endl;
	}
}
