// Threads: every item once, exceptions come back, nested and concurrent calls, a pool in a forked child.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "check.h"
#include "core/dispatch.h"
#include "core/error.h"
#include "core/for_each.h"
#include "core/view.h"

using namespace sonoray;

namespace {

bool covers_all(int threads, std::int64_t n, std::int64_t grain) {
  std::vector<std::atomic<int>> seen(n);
  for_each(Cpu{threads}, n, [&](std::int64_t i) { ++seen[i]; }, grain);
  for (auto& count : seen)
    if (count != 1) return false;
  return true;
}

void test_every_item_once() {
  for (int threads : {0, 1, 2, 5})
    for (std::int64_t n : {0, 1, 2, 7, 1000})
      for (std::int64_t grain : {1, 3, 64, 5000}) CHECK(covers_all(threads, n, grain));
}

void test_exceptions_come_back() {
  for (int threads : {1, 4}) {
    bool caught = false;
    try {
      for_each(Cpu{threads}, 100, [](std::int64_t i) { require(i != 50, "item 50"); });
    } catch (const ArgumentError& e) {
      caught = std::string(e.what()) == "item 50";
    }
    CHECK(caught);
    CHECK(covers_all(threads, 100, 1));  // and the pool still works
  }
}

void test_nested_and_concurrent_calls() {
  std::atomic<int> total{0};
  for_each(Cpu{4}, 8, [&](std::int64_t) { for_each(Cpu{4}, 10, [&](std::int64_t) { ++total; }); });
  CHECK(total == 80);
  bool ok[2] = {false, false};
  std::thread other([&] { ok[0] = covers_all(4, 20000, 7); });
  ok[1] = covers_all(4, 20000, 7);
  other.join();
  CHECK(ok[0] && ok[1]);
}

void test_fork() {
  CHECK(covers_all(4, 100, 1));
  const pid_t child = fork();
  if (child == 0) _exit(covers_all(4, 100, 1) ? 0 : 1);
  int status = 1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void test_view_is_row_major() {
  int data[24];
  const View<int, 3> v{data, {2, 3, 4}};
  CHECK(&v(1, 2, 3) == data + 23);
  CHECK(v.size() == 24);
}

void test_level_is_capped() {
  const CpuLevel highest = cpu_level();
  set_cpu_level(CpuLevel::baseline);
  CHECK(cpu_level() == CpuLevel::baseline);
  set_cpu_level(CpuLevel::v4);
  CHECK(cpu_level() == highest);
}

}  // namespace

int main() {
  test_every_item_once();
  test_exceptions_come_back();
  test_nested_and_concurrent_calls();
  test_fork();
  test_view_is_row_major();
  test_level_is_capped();
  return failures;
}
