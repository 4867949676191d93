# What pmemfs takes from outside. scripts/setup brings all of it.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(tl-expected CONFIG REQUIRED) # tl::expected
find_package(spdlog CONFIG REQUIRED)      # spdlog::spdlog
find_package(CLI11 CONFIG REQUIRED)       # CLI11::CLI11
find_package(nlohmann_json CONFIG REQUIRED) # nlohmann_json::nlohmann_json
include(fuse3)                            # pmemfs::fuse3

if(BUILD_TESTING)
  find_package(GTest CONFIG REQUIRED)     # GTest::gtest, GTest::gtest_main
  find_package(benchmark CONFIG REQUIRED) # benchmark::benchmark
  include(GoogleTest)
endif()
