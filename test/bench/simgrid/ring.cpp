// The ring ping-pong of simgrid.bench.ts on SimGrid: nodes in a ring, each plays ping-pong with its right neighbour over a link
// of its own, all at once. The same law of a message on both sides: latency, then bytes / bandwidth, nothing shared.
// Usage: ring NODES ROUNDS BYTES. Prints the simulated end in seconds, and the processor seconds of the play without its setup.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <simgrid/s4u.hpp>
#include <string>
#include <vector>

namespace sg4 = simgrid::s4u;

static double processor_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

// The laws of link i, as in simgrid.bench.ts.
static double latency_of(int i) { return (100 + i % 7 * 10) * 1e-6; }
static double bytes_per_second_of(int i) { return i % 2 == 0 ? 1e6 : 2e6; }

int main(int argc, char** argv) {
  sg4::Engine engine(&argc, argv);
  if (argc != 4) return 2;
  const int nodes = std::atoi(argv[1]);
  const int rounds = std::atoi(argv[2]);
  const double bytes = std::atof(argv[3]);

  auto* zone = sg4::create_full_zone("ring");
  std::vector<sg4::Host*> hosts;
  for (int i = 0; i < nodes; i++) hosts.push_back(zone->create_host("node-" + std::to_string(i), 1e9)->seal());
  for (int i = 0; i < nodes; i++) {
    auto* link = zone->create_link("link-" + std::to_string(i), bytes_per_second_of(i));
    link->set_latency(latency_of(i))->seal();
    auto* from = hosts[i];
    auto* to = hosts[(i + 1) % nodes];
    zone->add_route(from->get_netpoint(), to->get_netpoint(), nullptr, nullptr, {sg4::LinkInRoute(link)}, true);
  }
  zone->seal();

  static char message = 0;
  for (int i = 0; i < nodes; i++) {
    auto* ping = sg4::Mailbox::by_name("ping-" + std::to_string(i));
    auto* pong = sg4::Mailbox::by_name("pong-" + std::to_string(i));
    sg4::Actor::create("left", hosts[i], [=] {
      for (int round = 0; round < rounds; round++) {
        ping->put(&message, bytes);
        pong->get<char>();
      }
    });
    sg4::Actor::create("right", hosts[(i + 1) % nodes], [=] {
      for (int round = 0; round < rounds; round++) {
        ping->get<char>();
        pong->put(&message, bytes);
      }
    });
  }
  const double began = processor_seconds();
  engine.run();
  std::printf("{\"endSeconds\": %.9f, \"processorSeconds\": %.6f}\n", sg4::Engine::get_clock(), processor_seconds() - began);
  return 0;
}
