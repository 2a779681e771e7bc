// What every function of the shim does with exceptions: none may leave it, for Rust cannot take one.

#pragma once

#include <cstdlib>
#include <cstring>
#include <exception>

#include <c10/util/Exception.h>

// Runs `action`; its error's text for the caller to free, or null.
template <typename Action>
char *caught(Action action) {
  try {
    action();
    return nullptr;
  } catch (const c10::Error &error) {
    return strdup(error.what_without_backtrace());
  } catch (const std::exception &error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("an exception of an unknown type");
  }
}
