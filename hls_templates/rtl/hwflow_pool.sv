// Pooling: reduces POSITIONS pixels of CHANNELS elements to one, channel by channel.
//
// The pixels come one after the other, in the order in which hwflow_window emits them; for global
// pooling the module stands alone, with the image's size as POSITIONS.
//
//   MODE         0: the largest code, then one cast. 1: average,
//                    cast(q), q = trunc_toward_zero((sum << ACC_SHIFT) / POSITIONS), exact,
//                with q a code of IN_FRAC + ACC_SHIFT fraction bits. 2: the exact sum, then one cast
//   LANES        elements of a beat, input and output; it divides CHANNELS
//   ACC_W        average: bits of the accumulator that is modelled; it must hold the sum of POSITIONS
//                codes, so that the sum is exact (the hardware is as wide as that, not wider)
//   ACC_SHIFT    average: fraction bits by which that accumulator exceeds the input
//   EDGES        average: 1 where windows reach into padding that does not count; POSITIONS is then that of the others,
//                and the divisor of each is the number of its pixels in the image, of
//   IN_H, IN_W_PX, K_H, K_W, STRIDE_H, STRIDE_W, PAD_T, PAD_L, OUT_H, OUT_W_PX   as hwflow_window has them
//   IN_*, OUT_*, ROUNDING, OVERFLOW   as in hwflow_cast
//
// Nothing waits between the input and the results, which a hwflow_catch takes in: the beat that completes a result is
// taken only when there is room for it.
//
// Timing: one beat in a cycle. A result leaves LATENCY + 2 cycles after the beat that completes it, which is 5 (maximum
// and sum) or 8 (average), 1 more where the state of the channels is in block RAM, and 1 more for every 17 bits beyond the first
// of the constant that divides, which EDGES make longer. s_tready comes from registers.

`default_nettype none

module hwflow_pool #(
    parameter int MODE       = 0,
    parameter int LANES      = 1,
    parameter int CHANNELS   = 1,
    parameter int POSITIONS  = 4,
    parameter int IN_W       = 16,
    parameter int IN_SIGNED  = 1,
    parameter int IN_FRAC    = 10,
    parameter int ACC_W      = 32,
    parameter int ACC_SHIFT  = 0,
    parameter int EDGES      = 0,
    parameter int IN_H       = 1,
    parameter int IN_W_PX    = 1,
    parameter int K_H        = 1,
    parameter int K_W        = 1,
    parameter int STRIDE_H   = 1,
    parameter int STRIDE_W   = 1,
    parameter int PAD_T      = 0,
    parameter int PAD_L      = 0,
    parameter int OUT_H      = 1,
    parameter int OUT_W_PX   = 1,
    parameter int OUT_W      = 16,
    parameter int OUT_FRAC   = 10,
    parameter int OUT_SIGNED = 1,
    parameter int ROUNDING   = 0,
    parameter int OVERFLOW   = 0
) (
    input  wire                    clk_i,
    input  wire                    rst_ni,

    input  wire  [ LANES*IN_W-1:0] s_tdata,
    input  wire                    s_tvalid,
    output logic                   s_tready,

    output logic [LANES*OUT_W-1:0] m_tdata,
    output logic                   m_tvalid,
    input  wire                    m_tready
);

    localparam int MAXIMUM = 0;
    localparam int AVERAGE = 1;
    localparam int SUM     = 2;
    localparam int BEATS   = CHANNELS / LANES;
    localparam int STATE_W = (MODE == MAXIMUM) ? IN_W : IN_W + $clog2(POSITIONS);  // holds any sum of codes
    localparam int BEAT_W  = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam int POS_W   = (POSITIONS > 1) ? $clog2(POSITIONS) : 1;
    localparam int RESULT_W = (MODE == AVERAGE) ? IN_W + ACC_SHIFT : STATE_W;
    localparam int BLOCK   = (BEATS > 32 && LANES * STATE_W * BEATS > 1024) ? 1 : 0;  // as in hwflow_ram

    // Division of the magnitude by the constant POSITIONS = ODD * 2**TWOS. Powers of two common to
    // numerator and divisor cancel, so it is n * 2**GROW / ODD, with n the magnitude without its
    // DROP lowest bits (a floor of a floor is exact) and GROW or DROP 0.
    //
    // For 0 <= v < 2**V and L = ceil(log2(ODD)), floor(v / ODD) = floor(v * M / 2**(V+L)) with
    // M = ceil(2**(V+L) / ODD): M * ODD = 2**(V+L) + e, 0 <= e < ODD <= 2**L, so v * M / 2**(V+L)
    // exceeds v / ODD by v * e / (ODD * 2**(V+L)) < 1 / ODD, which takes it past no integer.
    // Here v = n * 2**GROW and V = N_W + GROW; the factor 2**GROW is taken out of the shift instead.
    // M < 2**(V+1), as ODD > 2**(L-1) and V >= L. The multiplication by M goes CHUNK bits of M at a time.
    //
    // With EDGES the divisor is any D <= ODD = POSITIONS. The same holds for M = ceil(2**(V+L) / D), as D <= 2**L, but that
    // M <= 2**(V+L).
    localparam int TWOS   = (EDGES != 0) ? 0 : $clog2(POSITIONS & -POSITIONS);
    localparam int ODD    = POSITIONS >> TWOS;
    localparam int DROP   = (TWOS > ACC_SHIFT) ? TWOS - ACC_SHIFT : 0;
    localparam int GROW   = (ACC_SHIFT > TWOS) ? ACC_SHIFT - TWOS : 0;
    localparam int N_W    = STATE_W - DROP;
    localparam int L      = $clog2(ODD);
    localparam int V      = N_W + GROW;
    localparam int M_W    = (EDGES != 0) ? V + L + 1 : V + 1;
    localparam int CHUNK  = 17;
    localparam int CHUNKS = (ODD == 1) ? 1 : (M_W + CHUNK - 1) / CHUNK;

    localparam int READ    = 1 + BLOCK;  // cycles from a beat to the state of its channels
    localparam int DIVIDE  = (MODE == AVERAGE) ? 2 + CHUNKS : 0;
    localparam int LATENCY = READ + DIVIDE + 2;  // cycles from the beat that completes a result to hwflow_catch

    if (MODE != MAXIMUM && MODE != AVERAGE && MODE != SUM) begin : gen_error_mode
        initial $fatal(1, "hwflow_pool: MODE (%0d) is 0 for maximum, 1 for average or 2 for sum", MODE);
    end
    if (LANES < 1 || CHANNELS < 1 || POSITIONS < 1 || CHANNELS % LANES != 0) begin : gen_error_size
        initial $fatal(1, "hwflow_pool: LANES (%0d) must divide CHANNELS (%0d), POSITIONS (%0d) be positive",
                       LANES, CHANNELS, POSITIONS);
    end
    if (IN_SIGNED < 0 || IN_SIGNED > 1 || ACC_SHIFT < 0) begin : gen_error_type
        initial $fatal(1, "hwflow_pool: IN_SIGNED must be 0 or 1, ACC_SHIFT (%0d) not negative", ACC_SHIFT);
    end
    if (MODE == AVERAGE && ACC_W < STATE_W) begin : gen_error_acc
        initial $fatal(1, "hwflow_pool: ACC_W (%0d) holds not every sum of %0d codes: it takes %0d bits",
                       ACC_W, POSITIONS, STATE_W);
    end

    if (EDGES != 0 && (MODE != AVERAGE || POSITIONS != K_H * K_W || POSITIONS < 2)) begin : gen_error_edges
        initial $fatal(1, "hwflow_pool: EDGES are of averages over K_H (%0d) x K_W (%0d) = POSITIONS (%0d), 2 or more",
                       K_H, K_W, POSITIONS);
    end

    // --- The beat, and the state of its channels so far, READ cycles later. The state is written back a cycle after that;
    // --- the same channels cannot come again in between.

    logic [BEAT_W-1:0] beat_reg;
    logic [POS_W-1:0] pos_reg;
    logic last_beat_reg, last_pos_reg, first_pos_reg;

    wire room;
    wire accept   = s_tvalid && s_tready;
    wire complete = accept && last_pos_reg;
    assign s_tready = room || !last_pos_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            beat_reg      <= '0;
            pos_reg       <= '0;
            last_beat_reg <= BEATS == 1;
            first_pos_reg <= 1'b1;
            last_pos_reg  <= POSITIONS == 1;
        end else if (accept) begin
            beat_reg      <= last_beat_reg ? '0 : beat_reg + 1'b1;
            last_beat_reg <= BEATS == 1 || (!last_beat_reg && beat_reg == BEAT_W'(BEATS - 2));
            if (last_beat_reg) begin
                pos_reg       <= last_pos_reg ? '0 : pos_reg + 1'b1;
                first_pos_reg <= last_pos_reg;
                last_pos_reg  <= POSITIONS == 1 || (!last_pos_reg && pos_reg == POS_W'(POSITIONS - 2));
            end
        end
    end

    logic [READ-1:0] valid_reg;
    logic [LATENCY-1:0] complete_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            valid_reg    <= '0;
            complete_reg <= '0;
        end else begin
            valid_reg    <= READ'({valid_reg, accept});
            complete_reg <= {complete_reg[LATENCY-2:0], complete};
        end
    end

    wire [LANES*IN_W-1:0] x;
    wire first;
    wire [LANES*STATE_W-1:0] state, state_next;

    hwflow_delay #(
        .WIDTH  (1 + LANES * IN_W),
        .STAGES (READ)
    ) wait_for_state (
        .clk_i  (clk_i),
        .en_i   (1'b1),
        .data_i ({first_pos_reg, s_tdata}),
        .data_o ({first, x})
    );

    if (BEATS > 1) begin : gen_memory
        wire [LANES*STATE_W-1:0] read_data;
        wire [BEAT_W-1:0] write_beat;

        hwflow_delay #(
            .WIDTH  (BEAT_W),
            .STAGES (READ)
        ) write_line (
            .clk_i  (clk_i),
            .en_i   (1'b1),
            .data_i (beat_reg),
            .data_o (write_beat)
        );

        hwflow_ram #(
            .WIDTH (LANES * STATE_W),
            .DEPTH (BEATS),
            .BLOCK (BLOCK)
        ) states (
            .clk_i        (clk_i),
            .write_en_i   (valid_reg[READ-1]),
            .write_addr_i (write_beat),
            .write_data_i (state_next),
            .read_en_i    (1'b1),
            .read_addr_i  (beat_reg),
            .read_data_o  (read_data)
        );

        hwflow_delay #(
            .WIDTH  (LANES * STATE_W),
            .STAGES (READ - 1)
        ) read_line (
            .clk_i  (clk_i),
            .en_i   (1'b1),
            .data_i (read_data),
            .data_o (state)
        );
    end else begin : gen_register
        logic [LANES*STATE_W-1:0] state_reg;

        always_ff @(posedge clk_i) begin
            if (valid_reg[READ-1]) state_reg <= state_next;
        end

        assign state = state_reg;
    end

    for (genvar lane = 0; lane < LANES; lane++) begin : gen_reduce
        wire [IN_W-1:0] code = x[lane*IN_W+:IN_W];
        wire [STATE_W-1:0] so_far = state[lane*STATE_W+:STATE_W];
        wire [STATE_W-1:0] reduced;

        if (MODE != MAXIMUM) begin : gen_sum
            wire [STATE_W-1:0] extended;
            if (IN_SIGNED != 0) begin : gen_signed
                assign extended = STATE_W'($signed(code));
            end else begin : gen_unsigned
                assign extended = STATE_W'(code);
            end
            assign reduced = extended + (first ? '0 : so_far);
        end else begin : gen_max
            wire larger;
            if (IN_SIGNED != 0) begin : gen_signed
                assign larger = $signed(code) > $signed(so_far);
            end else begin : gen_unsigned
                assign larger = code > so_far;
            end
            assign reduced = (first || larger) ? code : so_far;
        end

        assign state_next[lane*STATE_W+:STATE_W] = reduced;
    end

    // --- The reciprocal that a finished state is multiplied by.

    localparam logic [V+L:0] POWER = {1'b1, {(V + L) {1'b0}}};

    if (MODE == AVERAGE && EDGES != 0) begin : gen_edges
        // The place of the window in the image, and how many of its pixels lie in it. Windows end POSITIONS beats apart or
        // more, so that the number is there when the next one does.
        localparam int COUNT_W = $clog2(POSITIONS + 1);
        localparam int PLACE_W = $clog2(IN_H + IN_W_PX + K_H + K_W + STRIDE_H + STRIDE_W + PAD_T + PAD_L) + 2;
        localparam int ROW_W   = (OUT_H > 1) ? $clog2(OUT_H) : 1;
        localparam int COL_W   = (OUT_W_PX > 1) ? $clog2(OUT_W_PX) : 1;

        localparam logic [PLACE_W-1:0] FIRST_ROW = PLACE_W'(0 - PAD_T);
        localparam logic [PLACE_W-1:0] FIRST_COL = PLACE_W'(0 - PAD_L);

        logic [ROW_W-1:0] out_row_reg;
        logic [COL_W-1:0] out_col_reg;
        logic [PLACE_W-1:0] row_reg, col_reg;  // of the window's first pixel, in two's complement
        logic [COUNT_W-1:0] count_reg;
        logic [M_W-1:0] m_reg;
        wire [COUNT_W-1:0] count;
        wire [CHUNKS*CHUNK-1:0] reciprocal = (CHUNKS*CHUNK)'(m_reg);
        wire last_row = out_row_reg == ROW_W'(OUT_H - 1);
        wire last_col = out_col_reg == COL_W'(OUT_W_PX - 1);

        wire [PLACE_W-1:0] row_end = row_reg + PLACE_W'(K_H);
        wire [PLACE_W-1:0] col_end = col_reg + PLACE_W'(K_W);
        wire [COUNT_W-1:0] rows = COUNT_W'((row_end > PLACE_W'(IN_H)) ? PLACE_W'(IN_H) : row_end)
                                  - COUNT_W'(row_reg[PLACE_W-1] ? '0 : row_reg);
        wire [COUNT_W-1:0] cols = COUNT_W'((col_end > PLACE_W'(IN_W_PX)) ? PLACE_W'(IN_W_PX) : col_end)
                                  - COUNT_W'(col_reg[PLACE_W-1] ? '0 : col_reg);

        always_ff @(posedge clk_i) begin
            count_reg <= rows * cols;
            if (!rst_ni) begin
                out_row_reg <= '0;
                out_col_reg <= '0;
                row_reg     <= FIRST_ROW;
                col_reg     <= FIRST_COL;
            end else if (complete && last_beat_reg) begin
                out_col_reg <= last_col ? '0 : out_col_reg + 1'b1;
                col_reg     <= last_col ? FIRST_COL : col_reg + PLACE_W'(STRIDE_W);
                if (last_col) begin
                    out_row_reg <= last_row ? '0 : out_row_reg + 1'b1;
                    row_reg     <= last_row ? FIRST_ROW : row_reg + PLACE_W'(STRIDE_H);
                end
            end
        end

        hwflow_delay #(
            .WIDTH  (COUNT_W),
            .STAGES (READ + 1)
        ) count_line (
            .clk_i  (clk_i),
            .en_i   (1'b1),
            .data_i (count_reg),
            .data_o (count)
        );

        wire [(POSITIONS+1)*M_W-1:0] reciprocals;
        assign reciprocals[0+:M_W] = '0;
        for (genvar i = 1; i <= POSITIONS; i++) begin : gen_reciprocal
            assign reciprocals[i*M_W+:M_W] = M_W'((POWER + (V+L+1)'(i - 1)) / (V+L+1)'(i));
        end

        always_ff @(posedge clk_i) m_reg <= reciprocals[count*M_W+:M_W];
    end

    // --- A finished state, and what the cast takes of it.

    logic [LANES*STATE_W-1:0] done_reg;
    wire [LANES*RESULT_W-1:0] result;

    always_ff @(posedge clk_i) done_reg <= state_next;

    for (genvar lane = 0; lane < LANES; lane++) begin : gen_result
        if (MODE == AVERAGE) begin : gen_divide
            wire [STATE_W-1:0] sum = done_reg[lane*STATE_W+:STATE_W];
            wire negative = (IN_SIGNED != 0) && sum[STATE_W-1];
            wire [STATE_W-1:0] magnitude = negative ? -sum : sum;
            wire negative_divided;
            wire [RESULT_W-1:0] quotient;  // no average exceeds the largest code
            logic [N_W-1:0] n_reg;
            logic [RESULT_W-1:0] result_reg;

            always_ff @(posedge clk_i) begin
                n_reg      <= N_W'(magnitude >> DROP);
                result_reg <= negative_divided ? -quotient : quotient;
            end

            hwflow_delay #(
                .WIDTH  (1),
                .STAGES (1 + CHUNKS)
            ) sign_line (
                .clk_i  (clk_i),
                .en_i   (1'b1),
                .data_i (negative),
                .data_o (negative_divided)
            );

            if (ODD == 1) begin : gen_shift
                logic [RESULT_W-1:0] quotient_reg;
                always_ff @(posedge clk_i) quotient_reg <= RESULT_W'(n_reg) << GROW;
                assign quotient = quotient_reg;
            end else begin : gen_multiply
                localparam logic [M_W-1:0] M = M_W'((POWER + (V+L+1)'(ODD - 1)) / (V+L+1)'(ODD));
                localparam logic [CHUNKS*CHUNK-1:0] PARTS = (CHUNKS*CHUNK)'(M);

                // Product with a chunk of M, and the sum of these up to it, all as late as the sum needs them
                for (genvar i = 0; i < CHUNKS; i++) begin : gen_chunk
                    logic [N_W+CHUNK-1:0] product_reg;
                    wire [N_W+CHUNK-1:0] product;
                    logic [N_W+CHUNKS*CHUNK-1:0] sum_reg;

                    wire [CHUNK-1:0] part;

                    if (EDGES != 0) begin : gen_chosen
                        assign part = gen_edges.reciprocal[i*CHUNK+:CHUNK];
                    end else begin : gen_fixed
                        assign part = PARTS[i*CHUNK+:CHUNK];
                    end

                    always_ff @(posedge clk_i) product_reg <= (N_W+CHUNK)'(n_reg) * (N_W+CHUNK)'(part);

                    hwflow_delay #(
                        .WIDTH  (N_W + CHUNK),
                        .STAGES ((i > 1) ? i - 1 : 0)
                    ) wait_for_sum (
                        .clk_i  (clk_i),
                        .en_i   (1'b1),
                        .data_i (product_reg),
                        .data_o (product)
                    );

                    if (i == 0) begin : gen_first
                        assign sum_reg = (N_W+CHUNKS*CHUNK)'(product);
                    end else begin : gen_next
                        always_ff @(posedge clk_i) begin
                            sum_reg <= gen_chunk[i-1].sum_reg + ((N_W+CHUNKS*CHUNK)'(product) << (i * CHUNK));
                        end
                    end
                end

                assign quotient = RESULT_W'(gen_chunk[CHUNKS-1].sum_reg >> (N_W + L));
            end

            assign result[lane*RESULT_W+:RESULT_W] = result_reg;
        end else begin : gen_no_divide
            assign result[lane*RESULT_W+:RESULT_W] = done_reg[lane*STATE_W+:STATE_W];
        end
    end

    // --- Output: one cast.

    wire [LANES*OUT_W-1:0] y;

    for (genvar lane = 0; lane < LANES; lane++) begin : gen_cast
        hwflow_cast #(
            .IN_W       (RESULT_W),
            .IN_FRAC    ((MODE == AVERAGE) ? IN_FRAC + ACC_SHIFT : IN_FRAC),
            .IN_SIGNED  (IN_SIGNED),
            .OUT_W      (OUT_W),
            .OUT_FRAC   (OUT_FRAC),
            .OUT_SIGNED (OUT_SIGNED),
            .ROUNDING   (ROUNDING),
            .OVERFLOW   (OVERFLOW),
            .REGISTER   (1)
        ) cast (
            .clk_i  (clk_i),
            .code_i (result[lane*RESULT_W+:RESULT_W]),
            .code_o (y[lane*OUT_W+:OUT_W])
        );
    end

    hwflow_catch #(
        .WIDTH (LANES * OUT_W),
        .DEPTH (LATENCY + 4)
    ) results (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .begin_i  (complete),
        .room_o   (room),
        .valid_i  (complete_reg[LATENCY-1]),
        .data_i   (y),
        .m_tdata  (m_tdata),
        .m_tvalid (m_tvalid),
        .m_tready (m_tready)
    );

endmodule

`default_nettype wire
