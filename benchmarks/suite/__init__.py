# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
