// Rectifier with a slope: x > THRESHOLD ? cast(x) : cast(x * slope of the channel), leaky ReLU, PReLU and ReLU with a
// threshold. The product is exact, and so is x itself as a product with one.
//
//   LANES, CHANNELS  elements of a beat, and of a pixel; the channel of a beat is counted from reset
//   THRESHOLD        code of x, not negative
//   M_W, M_FRAC      type of a slope, signed; one has to fit into M_W bits
//   UNIFORM          1: one slope for all channels
//   M                slopes, that of channel i in bits i*M_W and up; a single one where UNIFORM
//   the other parameters are hwflow_cast's
//
// Timing: 6 cycles (operands, products, sum, cast, and hwflow_catch), one beat a cycle; s_tready comes from a register.

`default_nettype none

module hwflow_leaky #(
    parameter int LANES      = 1,
    parameter int CHANNELS   = 2,
    parameter int THRESHOLD  = 0,
    parameter int IN_W       = 16,
    parameter int IN_FRAC    = 10,
    parameter int IN_SIGNED  = 1,
    parameter int OUT_W      = 16,
    parameter int OUT_FRAC   = 10,
    parameter int OUT_SIGNED = 1,
    parameter int ROUNDING   = 2,
    parameter int OVERFLOW   = 1,
    parameter int M_W        = 9,
    parameter int M_FRAC     = 7,
    parameter int UNIFORM    = 0,
    parameter logic [((UNIFORM != 0) ? 1 : CHANNELS)*M_W-1:0] M = 1,
    localparam int BEATS     = (LANES > 0) ? CHANNELS / LANES : 1,
    localparam int WORDS     = (UNIFORM != 0) ? 1 : BEATS,
    localparam int WORD_W    = (UNIFORM != 0) ? M_W : LANES * M_W
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

    localparam int BEAT_W    = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam int PRODUCT_W = IN_W + 1 + M_W;
    localparam int DONE_AT   = 4;
    localparam logic [BEAT_W-1:0] LAST = BEAT_W'(BEATS - 1);
    localparam logic signed [M_W-1:0] ONE = M_W'(1) <<< M_FRAC;

    if (LANES < 1 || CHANNELS < 1 || CHANNELS % LANES != 0) begin : gen_error_lanes
        initial $fatal(1, "hwflow_leaky: LANES (%0d) must divide CHANNELS (%0d)", LANES, CHANNELS);
    end
    if (M_FRAC < 0 || M_W < M_FRAC + 2 || UNIFORM < 0 || UNIFORM > 1) begin : gen_error_slope
        initial $fatal(1, "hwflow_leaky: one must fit M_W (%0d) and M_FRAC (%0d), and UNIFORM be 0 or 1", M_W, M_FRAC);
    end
    if (THRESHOLD < 0) begin : gen_error_threshold
        initial $fatal(1, "hwflow_leaky: THRESHOLD (%0d) must not be negative", THRESHOLD);
    end

    // --- The slopes of the beat.

    logic [BEAT_W-1:0] beat_reg;
    wire [WORD_W-1:0] word;

    if (WORDS > 1) begin : gen_words
        wire [WORD_W-1:0] rom [0:WORDS-1];
        for (genvar beat = 0; beat < WORDS; beat++) begin : gen_rom
            assign rom[beat] = M[beat*WORD_W+:WORD_W];
        end
        assign word = rom[beat_reg];
    end else begin : gen_word
        assign word = M;
    end

    // --- Operands, products, one cast.

    wire take = s_tvalid && s_tready;
    logic [DONE_AT-1:0] valid_reg;
    wire [LANES*OUT_W-1:0] y;

    for (genvar lane = 0; lane < LANES; lane++) begin : gen_lane
        wire signed [IN_W:0] x = {(IN_SIGNED != 0) && s_tdata[(lane+1)*IN_W-1], s_tdata[lane*IN_W+:IN_W]};
        logic signed [IN_W:0] x_reg;
        logic signed [M_W-1:0] m_reg;
        logic signed [PRODUCT_W-1:0] whole_reg, product_reg;

        always_ff @(posedge clk_i) begin
            x_reg       <= x;
            m_reg       <= (x > (IN_W+1)'(THRESHOLD)) ? ONE : word[((UNIFORM != 0) ? 0 : lane)*M_W+:M_W];
            whole_reg   <= x_reg * m_reg;
            product_reg <= whole_reg;
        end

        hwflow_cast #(
            .IN_W(PRODUCT_W), .IN_FRAC(IN_FRAC + M_FRAC), .IN_SIGNED(1),
            .OUT_W(OUT_W), .OUT_FRAC(OUT_FRAC), .OUT_SIGNED(OUT_SIGNED),
            .ROUNDING(ROUNDING), .OVERFLOW(OVERFLOW), .REGISTER(1)
        ) cast_lane (
            .clk_i(clk_i),
            .code_i(product_reg),
            .code_o(y[lane*OUT_W+:OUT_W])
        );
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            beat_reg  <= '0;
            valid_reg <= '0;
        end else begin
            if (take) beat_reg <= (beat_reg == LAST) ? '0 : beat_reg + 1'b1;
            valid_reg <= {valid_reg[DONE_AT-2:0], take};
        end
    end

    hwflow_catch #(
        .WIDTH (LANES * OUT_W),
        .DEPTH (DONE_AT + 5)
    ) results (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .begin_i  (take),
        .room_o   (s_tready),
        .valid_i  (valid_reg[DONE_AT-1]),
        .data_i   (y),
        .m_tdata  (m_tdata),
        .m_tvalid (m_tvalid),
        .m_tready (m_tready)
    );

endmodule

`default_nettype wire
